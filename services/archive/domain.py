"""Describes events for people: their order, the delay of each, and one sentence. Pure.

The data belongs to other contexts and may lack any field; then a general sentence is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

MAX_TEXT = 300
MAX_ITEMS_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A stored event; `at` is its time in UTC, `received_at` (RFC 3339) the time of its arrival."""

    id: str
    source: str
    type: str
    subject: str
    sequence: int
    time: str
    at: datetime
    received_at: str
    data: dict[str, Any]
    correlationid: str
    causationid: str | None = None
    orderid: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The filter of a list of events; None is any. `since` is a time in the format of
    `common.messaging.events.rfc3339`.
    """

    subject: str | None = None
    type: str | None = None
    source: str | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """An entry of a timeline, `delay_seconds` after the one before it."""

    entry: Entry
    delay_seconds: float


def in_order(entries: Sequence[Entry]) -> list[Step]:
    """By time; for equal times an effect comes after its cause, then by the source's sequence."""
    depths = _depths(entries)
    ordered = sorted(
        entries, key=lambda entry: (entry.at, depths[entry.id], entry.source, entry.subject, entry.sequence, entry.id)
    )
    before = [ordered[0], *ordered] if ordered else []
    return [
        Step(entry, max(0.0, (entry.at - previous.at).total_seconds()))
        for previous, entry in zip(before, ordered, strict=False)
    ]


def summary(entry: Entry) -> str:
    """One short English sentence."""
    teller = _TELLERS.get(entry.type)
    if teller is not None:
        try:
            return _one_line(teller(entry.data))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            pass  # the data violates the contract of the type
    return _general(entry.type)


def _depths(entries: Sequence[Entry]) -> dict[str, int]:
    """The length of the chain of causes of each entry. A cycle of causes counts up to the cycle."""
    causes = {entry.id: entry.causationid for entry in entries}
    depths = {}
    for event_id, first_cause in causes.items():
        seen, cause = {event_id}, first_cause
        while cause in causes and cause not in seen:
            seen.add(cause)
            cause = causes[cause]
        depths[event_id] = len(seen) - 1
    return depths


def _general(event_type: str) -> str:
    """`stock.count_changed.v2` becomes "Stock count changed"."""
    words = re.sub(r"\.v[0-9]+$", "", event_type)
    return _one_line(re.sub(r"[._]+", " ", words)).capitalize()


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 3]}..."


def _money(value: Mapping[str, Any]) -> str:
    amount, currency = value["amount"], value["currency"]
    if type(amount) is not int:
        raise TypeError("an amount is an integer")
    sign, whole, part = "-" if amount < 0 else "", abs(amount) // 100, abs(amount) % 100
    return f"{sign}{whole}.{part:02} {currency.upper()}"


def _items(data: Mapping[str, Any]) -> str:
    items = data["items"]
    if not items:
        raise ValueError("nothing to name")
    named = [f"{item['quantity']} x {item['sku']}" for item in items[:MAX_ITEMS_NAMED]]
    more = len(items) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _words(code: str) -> str:
    return code.replace("_", " ")


def _attempt(data: Mapping[str, Any]) -> str:
    return f"Attempt {data['attempt']} failed in {data['consumer']}: {data['error_class']}: {data['error']}"


_TELLERS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "user.registered.v1": lambda data: f"User registered: {data['username']}",
    "product.listed.v1": lambda data: f"Product listed: {data['sku']}, {data['name']}, {_money(data['price'])}",
    "product.changed.v1": lambda data: f"Product changed: {data['sku']}, {data['name']}, {_money(data['price'])}",
    "stock.adjusted.v1": lambda data: (
        f"Stock adjusted: {data['delta']:+} x {data['sku']}, {data['on_hand']} on hand ({data['reason']})"
    ),
    "order.placed.v1": lambda data: f"Order placed: {_items(data)} for {_money(data['total'])}",
    "stock.reserved.v1": lambda data: f"Stock reserved: {_items(data)}",
    "stock.rejected.v1": lambda data: f"Stock refused: {data['sku']}, {_words(data['reason'])}",
    "stock.released.v1": lambda data: f"Stock released: {_items(data)}",
    "stock.sold.v1": lambda data: f"Stock sold: {_items(data)}",
    "payment.captured.v1": lambda data: f"Payment captured: {_money(data['amount'])}",
    "payment.declined.v1": lambda data: f"Payment declined: {_words(data['code'])}",
    "payment.refunded.v1": lambda data: (
        f"Payment refunded: {_money(data['amount'])}, {_money(data['refunded'])} in all ({data['reason']})"
    ),
    "payment.refund_refused.v1": lambda data: (
        f"Refund refused by the provider: {_money(data['amount'])}, {_words(data['code'])}, {data['tries']} tries"
    ),
    "payment.refund_retried.v1": lambda data: f"Refund retried: {_money(data['amount'])} ({data['reason']})",
    "payment.refund_recorded.v1": lambda data: (
        f"Refund recorded: {_money(data['amount'])} was returned another way ({data['reason']})"
    ),
    "order.confirmed.v1": lambda data: f"Order confirmed: {_money(data['total'])}",
    "order.cancelled.v1": lambda data: f"Order cancelled: {_words(data['reason'])}",
    "reservation.overdue.v1": lambda data: f"Reservation overdue: asked for the end of order {data['order_id']}",
    "payment.overdue.v1": lambda data: f"Payment overdue: asked for the end of order {data['order_id']}",
    "attempt.failed.v1": _attempt,
}
