"""The page Now through the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.operations.console.tests.conftest import sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database

    from services.operations.console.tests.fake_services import Fakes

pytestmark = pytest.mark.integration


def test_it_shows_what_does_not_answer(
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


def test_a_page_that_is_not_there_says_so(operator: FlaskClient) -> None:
    page = operator.get("/console/nothing")
    assert (page.status_code, "There is no such page." in page.text) == (404, True)


def test_files_are_kept_by_the_browser_until_they_change(operator: FlaskClient) -> None:
    page = operator.get("/")
    address = page.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    reply = operator.get(address)
    reply.close()
    assert reply.content_type == "text/css; charset=utf-8"
    assert "max-age=31536000" in reply.headers["Cache-Control"]
