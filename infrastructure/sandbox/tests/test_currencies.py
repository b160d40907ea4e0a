import pytest

from infrastructure.sandbox.currencies import SMALLEST, SUPPORTED, ZERO_DECIMAL, check_amount, display, read_currency
from infrastructure.sandbox.errors import ApiError


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (5, "usd", "$0.05"),
        (199_900, "usd", "$1,999.00"),
        (1999, "jpy", "¥1,999"),
        (30, "gbp", "£0.30"),
        (1500, "czk", "15.00"),
    ],
)
def test_amounts_are_formatted_by_currency(amount: int, currency: str, shown: str) -> None:
    assert display(amount, currency) == shown


def test_the_currency_tables_are_consistent() -> None:
    assert set(SMALLEST) <= SUPPORTED
    assert ZERO_DECIMAL <= SUPPORTED


@pytest.mark.parametrize("currency", ["xxx", "us", "", "usd ", "u\u017fd"])
def test_unknown_currencies_are_rejected(currency: str) -> None:
    with pytest.raises(ApiError):
        read_currency(currency)


def test_a_currency_without_a_documented_minimum_accepts_one_unit() -> None:
    check_amount(1, "isk")
