"""The headline of an order's page."""

from __future__ import annotations

from typing import Any

import pytest

from services.operations.console.headline import cancel_consequence, headline, left_to_refund

AGAIN = "Payments asks again automatically, at the latest in about an hour."


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "usd"}


def order(status: str = "cancelled") -> dict[str, Any]:
    return {"status": status, "cancel_reason": "requested" if status == "cancelled" else None}


def payment(status: str = "captured", **changes: Any) -> dict[str, Any]:
    known = {"amount": usd(1999), "refunded": usd(0), "refund_pending": usd(0), "refund_refusal": None}
    return known | {"status": status, "provider_id": "pi_1"} | changes


@pytest.mark.parametrize(
    ("changes", "is_away", "text"),
    [
        (
            {"refund_pending": usd(1999)},
            False,
            f"a refund of 19.99 USD was requested and the payment provider has not decided it. {AGAIN}",
        ),
        (
            {"refund_pending": usd(1999)},
            True,
            f"a refund of 19.99 USD was requested and the payment provider does not answer. {AGAIN}",
        ),
        (
            {"refund_refusal": {"code": "card_closed", "tries": 5}},
            False,
            "the payment provider refuses the refund of 19.99 USD (card closed), 5 tries.",
        ),
        ({}, False, "the refund of 19.99 USD is not requested yet. Payments does it automatically."),
    ],
)
def test_a_cancelled_order_with_a_charge_shows_its_refund_state(
    changes: dict[str, Any], is_away: bool, text: str
) -> None:
    shown = headline(order(), payment(**changes), is_provider_away=is_away)
    assert (shown.state, shown.title, shown.is_case) == ("bad", "Cancelled but still charged: requested", True)
    assert shown.text == f"Cancelled, but charged: {text}"


def test_a_refunded_cancelled_order_has_no_warning() -> None:
    shown = headline(order(), payment("refunded", refunded=usd(1999)))
    assert (shown.state, shown.title, shown.text) == ("", "Cancelled and refunded: requested", "")


def test_a_cancelled_order_with_an_unknown_charge_is_reported() -> None:
    assert "Whether the card was charged is not known" in headline(order(), payment("pending")).text
    assert headline(order(), payment("declined")).text == ""
    assert headline(order(), None).title == "Cancelled: requested"


def test_a_waiting_order_names_its_cause() -> None:
    away = headline(order("reserved"), payment("pending", provider_id=None), is_provider_away=True)
    assert away.text == "Waits for the payment provider: it does not answer. The order continues automatically."
    assert "to decide about the charge" in headline(order("reserved"), payment("pending")).text
    assert headline(order("reserved"), payment("pending", provider_id=None)).text == ""
    assert headline(order("confirmed"), payment()).text == ""


def test_a_pending_refund_of_a_confirmed_order_is_shown() -> None:
    shown = headline(order("confirmed"), payment(refund_pending=usd(500)))
    assert (shown.state, shown.title) == ("ok", "Confirmed")
    assert shown.text == f"A refund of 5.00 USD was requested and the payment provider has not decided it. {AGAIN}"


@pytest.mark.parametrize(
    ("status", "changes", "left"),
    [
        ("confirmed", {}, usd(1999)),
        ("confirmed", {"refund_pending": usd(500), "refunded": usd(400)}, usd(1099)),
        ("confirmed", {"refund_pending": usd(1999)}, None),
        ("confirmed", {"status": "pending"}, None),
        ("cancelled", {}, None),
    ],
)
def test_an_operator_may_refund_the_remaining_amount(
    status: str, changes: dict[str, Any], left: dict[str, Any] | None
) -> None:
    assert left_to_refund(order(status), payment(**changes)) == left


def test_the_consequence_of_cancelling_mentions_a_charge_only_if_there_is_one() -> None:
    assert cancel_consequence(payment("pending", provider_id=None)) == "Stock is released. Nothing was charged."
    assert "If the card was charged" in cancel_consequence(payment("pending"))
    assert cancel_consequence(payment()) == "Stock is released, and 19.99 USD is refunded."
    assert "what was charged" in cancel_consequence(None)
