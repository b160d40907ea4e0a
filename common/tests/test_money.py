"""Amounts as decimal text."""

from __future__ import annotations

import pytest

from common.money import Money, from_decimal_text, to_decimal_text


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [("19.99", "usd", 1999), ("0.05", "eur", 5), ("1250", "jpy", 1250), ("1.005", "kwd", 1005), ("0.00", "usd", 0)],
)
def test_an_amount_and_its_text_are_the_same(text: str, currency: str, amount: int) -> None:
    assert from_decimal_text(text, currency) == Money(amount, currency)
    assert to_decimal_text(Money(amount, currency)) == text


def test_missing_decimals_are_zeros() -> None:
    assert from_decimal_text("19", "usd") == Money(1900, "usd")
    assert from_decimal_text("19.9", "usd") == Money(1990, "usd")


@pytest.mark.parametrize(
    ("text", "currency"),
    [("19.999", "usd"), ("19.0", "jpy"), ("1,250.00", "usd"), ("-1", "usd"), ("1e3", "usd"), ("", "usd"), ("1.", "usd"),
     ("\N{ARABIC-INDIC DIGIT ONE}", "usd")],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        from_decimal_text(text, currency)
