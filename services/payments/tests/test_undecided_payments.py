"""Undecided charges and refunds are listed until the provider has decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from common.storage.postgresql import autocommit
from services.payments import undecided_payments
from services.payments.tests.calls import PAYMENTS, answer, get, operator
from services.payments.tests.test_undecided import charged_undecided, refunded_undecided, sweep

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration
_AGE = text("UPDATE payments SET created_at = created_at - interval '1 hour'")
_AGE_REFUNDS = text("UPDATE refunds SET created_at = created_at - interval '1 hour'")


def undecided(client: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer(client.get(f"{PAYMENTS}/undecided{query}", headers=operator()), 200)["data"]
    return found


def let_time_pass(engine: Engine) -> None:
    with autocommit(engine) as connection:
        connection.execute(_AGE)
        connection.execute(_AGE_REFUNDS)


def test_a_charge_and_a_refund_are_listed_until_the_provider_decides(
    client: FlaskClient,
    engine: Engine,
    resources: Resources,
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(undecided_payments, "WAITING_SECONDS", 600.0)
    refund = refunded_undecided(resources, sandbox)
    charged = charged_undecided(resources, sandbox, "succeeded")
    assert undecided(client) == []  # not long enough to be listed
    let_time_pass(engine)
    assert [(each["order_id"], each["status"]) for each in undecided(client)] == [
        (charged, "pending"),
        (refund.order_id, "captured"),
    ]
    [first] = undecided(client, "?limit=1")
    assert [each["id"] for each in undecided(client, f"?starting_after={first['id']}")] == [refund.id]
    sandbox.set_faults()
    sweep(resources)
    assert undecided(client) == []


def test_customers_do_not_see_them(client: FlaskClient) -> None:
    assert get(client, "/undecided").status_code == 403
