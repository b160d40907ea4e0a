"""Money, shared by all contexts. Each context defines its own currencies."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WITHOUT_DECIMALS = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"}
)
_THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_DECIMAL = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?")


@dataclass(frozen=True, slots=True)
class Money:
    """Integer minor units of a lower-case ISO 4217 currency."""

    amount: int
    currency: str


def decimals(currency: str) -> int:
    """How many decimals the currency's minor unit is: 1999 are 19.99 USD, and 1999 JPY.

    Source: https://docs.stripe.com/currencies#zero-decimal and #three-decimal
    """
    return 0 if currency in _WITHOUT_DECIMALS else 3 if currency in _THREE_DECIMALS else 2


def to_decimal_text(money: Money) -> str:
    """19.99 of 1999 minor units of usd."""
    digits = decimals(money.currency)
    whole, rest = divmod(money.amount, 10**digits)
    return f"{whole}.{rest:0{digits}d}" if digits else str(whole)


def from_decimal_text(text: str, currency: str) -> Money:
    """Raises `ValueError` for an invalid amount, or one with more decimals than the currency has."""
    found, digits = _DECIMAL.fullmatch(text), decimals(currency)
    if found is None or len(found[2] or "") > digits:
        message = f"no amount in {currency} with at most {digits} decimals"
        raise ValueError(message)
    return Money(int(found[1]) * 10**digits + int((found[2] or "").ljust(digits, "0") or 0), currency)
