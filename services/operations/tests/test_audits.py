"""Audit reports on a real MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.operations import audits

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.integration
KEPT = {"orders": 7, "promises": [{"promise": "P1", "broken": 0}, {"promise": "P4", "broken": 0}]}
BROKEN = {"orders": 8, "promises": [{"promise": "P1", "broken": 2}, {"promise": "P4", "broken": 1}]}


def test_without_a_report_there_is_none(store: Database[dict[str, Any]]) -> None:
    assert audits.last(store) is None


def test_the_newest_report_is_shown_with_its_violations(store: Database[dict[str, Any]]) -> None:
    audits.record(store, KEPT, by="operator-1")
    first = audits.last(store)
    assert first is not None
    assert (first["ok"], first["broken"], first["by"]) == (True, 0, "operator-1")
    filed = audits.record(store, BROKEN, by="operator-2")
    assert audits.last(store) == filed
    assert (filed["ok"], filed["broken"], filed["orders"], filed["promises"]) == (False, 3, 8, BROKEN["promises"])


def test_findings_are_stored_with_the_audit(store: Database[dict[str, Any]]) -> None:
    findings = [{"promise": "P1", "subject": "order-1", "text": "still pending"}]
    filed = audits.record(store, BROKEN | {"findings": findings}, by="operator-1")
    assert audits.find(store, filed["id"]) == filed
    assert filed["findings"] == findings
    assert audits.find(store, "unknown") is None
    assert audits.latest(store, 10) == [filed | {"findings": []}], "a list is short"
    store[audits.COLLECTION].update_many(
        {}, {"$unset": {"findings": True}}
    )  # like records of a version without findings
    assert audits.last(store) == filed | {"findings": []}


def test_reports_expire(store: Database[dict[str, Any]]) -> None:
    kept = store[audits.COLLECTION].index_information()["pruned"]
    assert kept["expireAfterSeconds"] == audits.KEPT_SECONDS
