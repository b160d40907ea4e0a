"""A re-check reports its result, also if the provider has not decided or does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.payments.rechecks import Outcome, re_check
from services.payments.tests.builders import AMOUNT, MESSAGE_CONTEXT, captured, payment_of
from services.payments.tests.calls import PAYMENTS, REASON, answer, operator, problem, refund, usd
from services.payments.tests.test_undecided import REFUNDS, charged_undecided, refunded_undecided

if TYPE_CHECKING:
    from typing import Any

    from flask.testing import FlaskClient

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration


def check(client: FlaskClient, payment_id: str, status: int = 200) -> Any:
    return answer(client.post(f"{PAYMENTS}/{payment_id}/re-check", headers=operator()), status)


def test_an_undecided_refund_is_a_result_not_a_failure(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = refunded_undecided(resources, sandbox)
    shown = check(client, payment.id)
    assert (shown["outcome"], shown["status"], shown["previous_status"]) == ("undecided", "captured", "captured")
    assert (shown["refund_pending"], shown["refunded"]) == (usd(AMOUNT), usd(0))
    assert shown["checked_at"] > shown["created_at"]
    sandbox.set_faults()
    shown = check(client, payment.id)
    assert (shown["outcome"], shown["status"], shown["previous_status"]) == ("changed", "refunded", "captured")
    assert (shown["refund_pending"], shown["refunded"]) == (usd(0), usd(AMOUNT))
    assert check(client, payment.id)["outcome"] == "unchanged"


def test_an_undecided_charge_is_a_result_not_a_failure(resources: Resources, sandbox: SandboxProcess) -> None:
    order = charged_undecided(resources, sandbox, "succeeded")
    payment = payment_of(resources.engine, order)
    assert re_check(resources, payment.id, MESSAGE_CONTEXT).outcome is Outcome.UNDECIDED
    sandbox.set_faults()
    found = re_check(resources, payment.id, MESSAGE_CONTEXT)
    assert (found.outcome, found.payment.status.value) == (Outcome.CHANGED, "captured")


def test_a_pending_refund_is_shown_with_its_payment(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    sandbox.set_faults(REFUNDS)
    assert answer(refund(client, payment.id, {"amount": usd(500)} | REASON, key="k"), 201)["status"] == "pending"
    for path in (f"/{payment.id}", f"?order_id={payment.order_id}"):
        shown = answer(client.get(PAYMENTS + path, headers=operator()), 200)
        assert shown.get("data", [shown])[0]["refund_pending"] == usd(500)


def test_an_unavailable_provider_is_named(client: FlaskClient, resources: Resources, sandbox: SandboxProcess) -> None:
    payment = refunded_undecided(resources, sandbox)
    free = captured(resources)
    sandbox.set_faults({"kind": "error"})
    away = (503, "payment_provider_unavailable")
    assert problem(client.post(f"{PAYMENTS}/{payment.id}/re-check", headers=operator())) == away
    assert problem(refund(client, free.id, REASON, key="k2")) == away
