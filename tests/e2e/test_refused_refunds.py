"""A permanently refused refund: where it is shown, and how an operator closes the case."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from holdfast.audit.reading import OPEN_LETTERS
from holdfast.cli import main
from infrastructure.local.stack import Stack
from tests.e2e.api import answer
from tests.e2e.auditing import assert_kept, audit
from tests.e2e.breaking import Saboteur
from tests.e2e.shop import PAYMENTS, Customer, Json, Shop, cancel_during_charge
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
CHARGED_LATE = {"kind": "hang", "seconds": 2, "after": True, "match": {"operation": "confirm"}, "remaining": 1}
REFUSES = {"kind": "refuse", "code": "charge_disputed", "match": {"operation": "refund"}}


@pytest.fixture
def faults(stack: Stack) -> Iterator[str]:
    """The address of the sandbox's faults, which are removed afterwards."""
    url = f"{stack.urls.http('sandbox')}/faults"
    yield url
    requests.delete(url, timeout=60).raise_for_status()


def command(stack: Stack, *words: str) -> Result:
    return CliRunner().invoke(main, ["payments", *words, "--home", str(stack.home.path)], catch_exceptions=False)


def cancelled_too_late(shop: Shop, customer: Customer, faults: str) -> Json:
    """A captured payment of a cancelled order."""
    order = cancel_during_charge(shop, customer, faults, CHARGED_LATE, REFUSES)
    return shop.payment(order["id"], "captured")


def wait_for_open_case(stack: Stack, shop: Shop, payment: Json) -> Json:
    """The payment once its case is open; each pause is shortened."""
    saboteur = Saboteur(stack)

    def poll() -> Json:
        found: Json = answer(shop.operator.get(f"{PAYMENTS}/{payment['id']}"))
        if found["refund_refusal"] and found["refund_refusal"]["standing_since"] is None:
            saboteur.refund_due(payment["id"])
        return found

    return eventually(poll, lambda found: found["refund_refusal"] and found["refund_refusal"]["standing_since"])


def letters(shop: Shop, payment: Json) -> list[dict[str, Any]]:
    known = shop.operator.all("/api/v1/dead-letters", type="payment.refund_refused.v1")
    open_ones = [letter for letter in known if letter["status"] in OPEN_LETTERS]
    return [letter for letter in open_ones if letter["order_id"] == payment["order_id"]]


def test_a_refused_refund_is_shown_everywhere_and_closed_by_an_operator(
    stack: Stack, shop: Shop, customer: Customer, faults: str
) -> None:
    payment = wait_for_open_case(stack, shop, cancelled_too_late(shop, customer, faults))
    assert payment["refund_refusal"]["tries"] == 5
    [letter] = eventually(lambda: letters(shop, payment))
    assert "charge_disputed" in letter["error"]
    assert f"retry-refund {payment['id']}" in letter["error"]
    eventually(lambda: (answer(shop.operator.get("/api/v1/system"))["standing_cases"] or {}).get("count") == 1)
    listed = eventually(lambda: command(stack, "standing-cases", "--json"), lambda done: done.exit_code == 0)
    assert [each["id"] for each in json.loads(listed.stdout)] == [payment["id"]]
    done = audit(stack, settle_seconds=2)
    assert done.found == {("P4", payment["order_id"])}
    assert "charge_disputed, 5 tries" in done.document["findings"][0]["text"]

    refused = command(stack, "retry-refund", payment["id"], "--reason", "try it")
    assert (refused.exit_code, "refund_refused" in refused.stderr) == (1, True)
    recorded = command(
        stack, "record-refund", payment["id"], "--reason", "by bank transfer", "--reference", "TRF-7", "--json"
    )
    assert recorded.exit_code == 0, recorded.stderr
    assert json.loads(recorded.stdout)["refunded_elsewhere"] == payment["amount"]
    eventually(lambda: not letters(shop, payment))
    done = assert_kept(stack)
    [p4] = [each["compared"] for each in done.document["promises"] if each["promise"] == "P4"]
    assert p4.endswith("1 recorded as returned another way")
    recorded_text = "Refund recorded: 19.99 USD was returned another way (by bank transfer)"
    eventually(
        lambda: [entry["summary"] for entry in shop.timeline(payment["order_id"])],
        lambda summaries: recorded_text in summaries,
    )


def test_an_operator_retries_a_refused_refund(stack: Stack, shop: Shop, customer: Customer, faults: str) -> None:
    payment = wait_for_open_case(stack, shop, cancelled_too_late(shop, customer, faults))
    eventually(lambda: letters(shop, payment))
    requests.delete(faults, timeout=60).raise_for_status()
    done = command(stack, "retry-refund", payment["id"], "--reason", "the dispute was won")
    assert done.exit_code == 0, done.stderr
    shop.payment(payment["order_id"], "refunded")
    eventually(lambda: not letters(shop, payment))
    assert_kept(stack)
