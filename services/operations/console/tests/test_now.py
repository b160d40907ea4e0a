"""The page Now through the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from services.operations.console.tests.conftest import sign_in
from services.operations.console.tests.fake_services import fakes

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database

    from services.operations.console.tests.fake_services import Fakes

pytestmark = pytest.mark.integration


def test_unavailable_contexts_are_shown(
    make_app: Callable[..., Flask], store: Database[dict[str, Any]], document_store: str, others: Fakes
) -> None:
    assert store is not None
    urls = others.metrics_urls | {"worker-orders": "http://127.0.0.1:1/metrics"}
    client = make_app(document_store, metrics_urls=urls).test_client()
    sign_in(client)
    page = client.get("/")
    assert page.status_code == 200
    assert "1 thing needs attention." in page.text
    assert "worker-orders: does not answer" in page.text


def test_an_unknown_page_is_404(operator: FlaskClient) -> None:
    page = operator.get("/console/nothing")
    assert (page.status_code, "There is no such page." in page.text) == (404, True)


def test_assets_are_cached_until_they_change(operator: FlaskClient) -> None:
    page = operator.get("/")
    address = page.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    reply = operator.get(address)
    reply.close()
    assert reply.content_type == "text/css; charset=utf-8"
    assert "max-age=31536000" in reply.headers["Cache-Control"]


def test_an_active_fault_is_shown_on_both_pages_with_a_link_to_undo_it(
    make_app: Callable[..., Flask], store: Database[dict[str, Any]], document_store: str, others: Fakes
) -> None:
    assert store is not None
    endpoint = {"id": new_id(), "url": "https://x.example/", "enabled": False, "disabled_reason": "gone"}
    listed = {"data": [endpoint | {"consecutive_failures": 1, "description": "the shop"}], "has_more": False}
    others["notifications"].answers["GET /api/v1/webhook-endpoints"] = (200, listed)
    fault = {"title": "The provider fails", "target": "", "left_seconds": 42.0, "problem": ""}
    rest = {"by": "u1", "seconds": 60, "started_at": "2026-01-01T00:00:00Z"}
    with fakes("control") as running:
        known: dict[str, Any] = {"faults": [], "active": fault | rest, "acts": [], "audit": None}
        running["control"].answers["GET /api/v1/control"] = (200, known)
        url = running["control"].metrics_url.removesuffix("/metrics")
        client = make_app(document_store, metrics_urls=others.metrics_urls, local_control_url=url).test_client()
        sign_in(client)
        now, broken = client.get("/").text, client.get("/console/break").text
        assert "A fault is active: <b>The provider fails</b>. It ends automatically in 42 s." in now
        assert 'href="/console/break">Heal it</a>' in now
        assert "Webhook the shop (https://x.example/) is disabled" in now
        assert "Webhook the shop (https://x.example/) is disabled" in broken
        running["control"].answers["GET /api/v1/control"] = (200, known | {"active": None})
        assert "A fault is on here" not in client.get("/").text
        calm = client.get("/console/break").text
        assert '<p class="strip">No fault is active. If one has just ended' in calm
        assert "Everything works." not in calm
