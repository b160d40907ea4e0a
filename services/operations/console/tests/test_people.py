"""Records show the names of operators if they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.operations import audits, operators

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from pymongo.database import Database

pytestmark = pytest.mark.integration


def test_an_audit_shows_its_reporter(operator: FlaskClient, store: Database[dict[str, Any]]) -> None:
    report = {"orders": 1, "promises": [{"promise": "P1", "broken": 0}]}
    operators.remember(store, "id-of-rosa", "rosa")
    for by in ("id-of-rosa", "id-of-nobody"):
        audits.record(store, report, by=by)
    page = operator.get("/console/promises").text
    assert '<span title="id-of-rosa">rosa</span>' in page
    assert '<span title="id-of-nobody">operator</span>' in page


def test_a_sign_in_stores_the_operators_name(operator: FlaskClient, store: Database[dict[str, Any]]) -> None:
    assert operator
    assert [each["name"] for each in store[operators.COLLECTION].find()] == ["olga"]
