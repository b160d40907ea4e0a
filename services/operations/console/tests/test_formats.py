"""Formats of values on the pages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.operations.console import formats


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1250, "usd", "12.50 USD"),
        (1250, "jpy", "1,250 JPY"),
        (0, "eur", "0.00 EUR"),
        (123456789, "usd", "1,234,567.89 USD"),
    ],
)
def test_money_has_decimals_and_currency(amount: int, currency: str, text: str) -> None:
    assert formats.money({"amount": amount, "currency": currency}) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.085, "85 ms"), (3.24, "3.2 s"), (42.4, "42 s"), (90, "1 min 30 s"), (120, "2 min"), (1000, "16 min"),
        (3600, "1 h"), (7500, "2 h 5 min"), (90000, "1 d 1 h"), (172800, "2 d"),
    ],
)  # fmt: skip
def test_durations_use_readable_units(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


def test_times_are_in_utc() -> None:
    now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert formats.ago("2026-01-01T00:00:00.000Z", now) == "1 min ago"
    assert formats.ago("2026-01-01T00:02:00.000Z", now) == "just now"
    assert formats.ago(None) == "never"
    assert formats.clock("2026-01-01T01:00:00+01:00") == "2026-01-01 00:00:00"


def test_unknown_values_are_shown_as_a_dash() -> None:
    dash = "\N{EN DASH}"
    assert {formats.money(None), formats.duration(None), formats.clock(None), formats.whole(None)} == {dash}
    assert formats.whole(12345) == "12,345"


def test_codes_are_shown_as_words() -> None:
    assert formats.words("out_of_stock") == "out of stock"
    assert formats.short("common.errors.Rejected") == formats.short("Rejected") == "Rejected"
