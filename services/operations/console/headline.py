"""The headline of an order's page: the state of the order, and what it waits for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.operations.console.formats import money, words

if TYPE_CHECKING:
    from collections.abc import Mapping

HELD = ("captured", "partially_refunded")
_AWAY = "Waits for the payment provider: it does not answer. The order continues automatically."
_CHARGING = "Waits for the payment provider to decide about the charge. The order continues automatically."


@dataclass(frozen=True, slots=True)
class Headline:
    """`state` is the title's, "" for neutral. `text` is about the payment; `is_case`: the page Cases lists it."""

    state: str
    title: str
    text: str = ""
    text_state: str = "warn"
    is_case: bool = False


def headline(
    order: Mapping[str, Any], payment: Mapping[str, Any] | None, *, is_provider_away: bool = False
) -> Headline:
    status = order["status"]
    if status == "cancelled":
        return _of_cancelled(order, payment, is_provider_away=is_provider_away)
    title = str(status).capitalize()
    state = "ok" if status == "confirmed" else "warn"
    if payment and is_refund_pending(payment):
        return Headline(state, title, _pending_refund_text(payment, is_provider_away=is_provider_away), is_case=True)
    if status == "reserved" and payment and payment["status"] == "pending":
        if is_provider_away:
            return Headline(state, title, _AWAY)
        if payment["provider_id"]:
            return Headline(state, title, _CHARGING)
    return Headline(state, title)


def left_to_refund(order: Mapping[str, Any] | None, payment: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an operator may refund; None if nothing. A cancelled order's money is refunded automatically."""
    if payment["status"] not in HELD or (order and order["status"] == "cancelled"):
        return None
    remaining = held(payment)["amount"] - refund_pending(payment)["amount"]
    return {"amount": remaining, "currency": payment["amount"]["currency"]} if remaining > 0 else None


def held(payment: Mapping[str, Any]) -> dict[str, Any]:
    """What is captured and not refunded."""
    amount = payment["amount"]["amount"] - payment["refunded"]["amount"] if payment["status"] in HELD else 0
    return {"amount": amount, "currency": payment["amount"]["currency"]}


def refund_pending(payment: Mapping[str, Any]) -> dict[str, Any]:
    """The requested refunds whose outcome is unknown."""
    return payment.get("refund_pending") or {"amount": 0, "currency": payment["amount"]["currency"]}


def is_refund_pending(payment: Mapping[str, Any]) -> bool:
    return bool(refund_pending(payment)["amount"])


def cancel_consequence(payment: Mapping[str, Any] | None) -> str:
    """What cancelling the open order does."""
    if payment is None:
        return "Stock is released, and what was charged is refunded."
    if payment["status"] in HELD:
        return f"Stock is released, and {money(held(payment))} is refunded."
    if payment["status"] == "pending" and payment["provider_id"]:
        return "Stock is released. If the card was charged, the charge is refunded."
    return "Stock is released. Nothing was charged."


def _of_cancelled(order: Mapping[str, Any], payment: Mapping[str, Any] | None, *, is_provider_away: bool) -> Headline:
    reason = f": {words(order['cancel_reason'])}" if order["cancel_reason"] else ""
    if payment is None:
        return Headline("bad", f"Cancelled{reason}")
    if payment["status"] == "refunded":
        return Headline("", f"Cancelled and refunded{reason}")
    if payment["status"] in HELD:
        text = f"Cancelled, but charged: {_owed(payment, is_provider_away=is_provider_away)}"
        return Headline("bad", f"Cancelled but still charged{reason}", text, "bad", is_case=True)
    if payment["status"] == "pending" and payment["provider_id"]:
        who = "does not answer" if is_provider_away else "has not decided"
        text = f"Whether the card was charged is not known: the payment provider {who}. If it was, it is refunded."
        return Headline("bad", f"Cancelled{reason}", text, is_case=True)
    return Headline("bad", f"Cancelled{reason}")


def _owed(payment: Mapping[str, Any], *, is_provider_away: bool) -> str:
    refusal = payment["refund_refusal"]
    if refusal:
        return (
            f"the payment provider refuses the refund of {money(held(payment))} ({words(refusal['code'])}),"
            f" {refusal['tries']} {'try' if refusal['tries'] == 1 else 'tries'}."
        )
    if is_refund_pending(payment):
        return _pending_refund_text(payment, is_provider_away=is_provider_away).replace("A refund", "a refund", 1)
    return f"the refund of {money(held(payment))} is not requested yet. Payments does it automatically."


def _pending_refund_text(payment: Mapping[str, Any], *, is_provider_away: bool) -> str:
    who = "the payment provider does not answer" if is_provider_away else "the payment provider has not decided it"
    refund = f"A refund of {money(refund_pending(payment))} was requested and {who}."
    return f"{refund} Payments asks again automatically, at the latest in about an hour."
