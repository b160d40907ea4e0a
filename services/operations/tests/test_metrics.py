"""The metrics of stored dead letters, and of the last audit (`audits.py`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.messaging.events import new_id
from common.tests.sample_service import answer, bearer
from common.tests.tcp_proxy import Link
from common.web import stored_metrics
from services.operations import usecases
from services.operations.tests.dead_letters import dead, file

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
OPERATOR = bearer(role="operator", sub="ann")
AUDITS, SYSTEM = "/api/v1/system/audits", "/api/v1/system"
BROKEN = {"P1": 0, "P2": 0, "P3": 2, "P4": 0, "P5": 0, "P6": 0, "P7": 0}


def report(broken: dict[str, int]) -> dict[str, Any]:
    return {"orders": 12, "promises": [{"promise": name, "broken": count} for name, count in broken.items()]}


KEPT = report(BROKEN)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_metrics, "CACHE_SECONDS", 0)


def read(client: FlaskClient) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(client.get("/metrics").get_data(as_text=True))
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_waiting_dead_letters_are_counted_by_queue(client: FlaskClient, store: Store) -> None:
    before = read(client)
    filed = ("holdfast_dead_letters_filed_total", "inventory.events", "rejected")
    known = file(store, dead(queue="inventory.events", reason="rejected"))
    file(store, dead(queue="inventory.events", reason="rejected"))
    file(store, dead(queue="a stranger's", reason="whatever"))
    found = read(client)
    assert found["holdfast_dead_letters_waiting", "inventory.events"] == 2
    assert found["holdfast_dead_letters_waiting", "other"] == 1
    assert found[filed] - before.get(filed, 0) == 2
    assert found["holdfast_dead_letters_filed_total", "other", "other"] >= 1
    usecases.discard_letter(store, known, by="ann", reason="known")
    assert read(client)["holdfast_dead_letters_waiting", "inventory.events"] == 1


def test_the_last_audit_is_shown(client: FlaskClient, store: Store) -> None:
    assert answer(client.get(SYSTEM, headers=OPERATOR))["last_audit"] is None
    assert read(client)["holdfast_audit_last_timestamp_seconds",] == 0
    assert client.post(AUDITS, json=report(BROKEN | {"P5": 1}), headers=OPERATOR).status_code == 201
    reply = client.post(AUDITS, json=KEPT, headers=OPERATOR)
    assert reply.status_code == 201
    expected = {"ok": False, "broken": 2, "by": "ann"} | KEPT
    shown = answer(client.get(SYSTEM, headers=OPERATOR))["last_audit"]
    assert shown == answer(reply)
    assert {name: shown[name] for name in expected} == expected
    found = read(client)
    assert found["holdfast_audit_last_timestamp_seconds",] > 1_700_000_000
    broken = {labels[1]: value for labels, value in found.items() if labels[0] == "holdfast_audit_broken_promises"}
    assert broken == BROKEN


def test_a_repeated_report_is_stored_once(client: FlaskClient, store: Store) -> None:
    headers = OPERATOR | {"Idempotency-Key": new_id()}
    replies = [client.post(AUDITS, json=KEPT, headers=headers) for _ in range(2)]
    assert answer(replies[0]) == answer(replies[1])
    assert store["audits"].count_documents({}) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        KEPT | {"promises": []},
        KEPT | {"orders": -1},
        report(BROKEN | {"P1": -1}),
        report(BROKEN | {"P8": 0}),  # no audit checks it
        report({name: count for name, count in BROKEN.items() if name != "P4"}),
        KEPT | {"promises": [{"promise": "P1", "broken": 0}] * len(BROKEN)},
        KEPT | {"colour": "red"},
    ],
)
def test_an_invalid_report_is_rejected(client: FlaskClient, store: Store, body: Any) -> None:
    assert client.post(AUDITS, json=body, headers=OPERATOR).status_code == 422
    assert client.post(AUDITS, json=KEPT, headers=bearer()).status_code == 403
    assert store["audits"].count_documents({}) == 0


def test_the_last_values_are_kept_while_mongodb_is_down(
    make_app: Callable[..., Flask], store: Store, document_store: str
) -> None:
    file(store)
    with Link(document_store) as link:
        client = make_app(link.url, mongodb_timeout_seconds=1).test_client()
        names = (("holdfast_audit_last_timestamp_seconds",), ("holdfast_dead_letters_waiting", "orders.events"))
        deadline = time.monotonic() + 60
        while client.post(AUDITS, json=KEPT, headers=OPERATOR).status_code != 201:  # its time-out is short
            assert time.monotonic() < deadline
        before = read(client)
        while not all(before.get(name) for name in names):
            assert time.monotonic() < deadline
            before = read(client)
        link.cut()
        after = read(client)
    for name in names:
        assert before[name] == after[name] > 0
