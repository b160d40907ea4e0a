"""Describes the result of a re-check of a payment. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.operations.console.formats import words

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUSES = ("pending", "captured", "declined", "cancelled", "partially_refunded", "refunded")
_PLAIN = "re-checked"  # an earlier version of the payments service returns no outcome
_OUTCOMES = ("unchanged", "changed", "undecided")


def result_of(reply: Mapping[str, Any]) -> str:
    """For the record: `still undecided`, `now refunded`, `unchanged: captured`."""
    outcome = str(reply.get("outcome"))
    return _result(outcome, str(reply.get("status"))) if outcome in _OUTCOMES else ""


def notice_of(reply: Mapping[str, Any]) -> str:
    """The key in `NOTICES` of the payments service's reply."""
    key = _key(str(reply.get("outcome")), str(reply.get("status")))
    return key if key in NOTICES else _PLAIN


def _key(outcome: str, status: str) -> str:
    return f"re-checked-{outcome}-{status}"


def _result(outcome: str, status: str) -> str:
    if outcome == "undecided":
        return "still undecided"
    return f"now {words(status)}" if outcome == "changed" else f"unchanged: {words(status)}"


def _sentence(outcome: str, status: str) -> str:
    if outcome == "undecided":
        what = "charge" if status == "pending" else "refund"
        return (
            f"Still undecided: the payment provider answered, and has not decided about the {what}."
            " Payments asks it again automatically, at the latest in about an hour."
        )
    if outcome == "changed":
        return f"Compared with the payment provider: the payment has changed, it is now {words(status)}."
    return f"Compared with the payment provider: the same, the payment is {words(status)}. Nothing had to be done."


NOTICES = {_key(outcome, status): _sentence(outcome, status) for outcome in _OUTCOMES for status in _STATUSES} | {
    _PLAIN: "The payment was compared with the payment provider."
}
