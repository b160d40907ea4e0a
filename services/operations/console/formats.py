"""Formats of values on the pages: money, times, durations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from common.money import Money, to_decimal_text

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NONE = "\N{EN DASH}"


def money(value: dict[str, Any] | None) -> str:
    """12.50 USD of {"amount": 1250, "currency": "usd"}."""
    if not value:
        return _NONE
    currency = str(value["currency"])
    amount = int(value["amount"])
    whole, point, rest = to_decimal_text(Money(amount, currency)).partition(".")
    return f"{int(whole):,}{point}{rest} {currency.upper()}"


def decimal(value: dict[str, Any]) -> str:
    """12.50 of {"amount": 1250, "currency": "usd"}: for a field."""
    return to_decimal_text(Money(int(value["amount"]), str(value["currency"])))


def duration(seconds: float | None) -> str:  # noqa: PLR0911 - one line for each magnitude
    """85 ms, 3.2 s, 4 min, 2 h 5 min, 3 d."""
    if seconds is None:
        return _NONE
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004 - tenths matter below
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        minutes, rest = divmod(int(seconds), _MINUTE)
        return f"{minutes} min {rest} s" if minutes < 5 and rest else f"{minutes} min"  # noqa: PLR2004 - as above
    if seconds < _DAY:
        hours, rest = divmod(int(seconds), _HOUR)
        return f"{hours} h {rest // _MINUTE} min" if rest >= _MINUTE else f"{hours} h"
    days, rest = divmod(int(seconds), _DAY)
    return f"{days} d {rest // _HOUR} h" if rest >= _HOUR else f"{days} d"


def ago(moment: str | None, now: datetime | None = None) -> str:
    """The age of an RFC 3339 time: `12 s ago`."""
    if not moment:
        return "never"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()
    return "just now" if seconds < 1 else f"{duration(seconds)} ago"


def clock(moment: str | None) -> str:
    """The time to the second, in UTC: `2026-01-31 12:00:00`."""
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if moment else _NONE


def whole(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}"


def words(value: str) -> str:
    """A code as words: `out_of_stock` -> `out of stock`."""
    return value.replace("_", " ")


def short(error_class: str) -> str:
    """An error's class without its module."""
    return error_class.rpartition(".")[2]


FILTERS = {
    "money": money,
    "decimal": decimal,
    "duration": duration,
    "ago": ago,
    "clock": clock,
    "whole": whole,
    "words": words,
    "short": short,
}
