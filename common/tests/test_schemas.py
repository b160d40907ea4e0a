from typing import Any

import pytest
from marshmallow import Schema, ValidationError

from common.schemas import (
    CURRENCIES,
    Integer,
    MoneySchema,
    StrictSchema,
    TolerantMoneySchema,
    TolerantSchema,
    id_field,
    is_id,
    sku_field,
    text_field,
)

ID = "01928f6e-7c1a-7b30-9a55-3c1d0e5f7a10"


def _load(field: Any, value: Any) -> Any:
    return Schema.from_dict({"it": field})().load({"it": value})["it"]


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_integers(value: int) -> None:
    assert _load(Integer(), value) == value


@pytest.mark.parametrize("value", [1.5, 1.0, True, "1", None, [], {}, 2**63, -(2**63) - 1])
def test_what_is_no_integer(value: Any) -> None:
    with pytest.raises(ValidationError):
        _load(Integer(), value)


@pytest.mark.parametrize("value", ["A", "KETTLE-RED", "a.b_c-9", "x" * 64])
def test_skus(value: str) -> None:
    assert _load(sku_field(), value) == value


@pytest.mark.parametrize("value", ["", "-a", "a b", "a\n", "ä", "x" * 65, 1, None])
def test_what_is_no_sku(value: Any) -> None:
    with pytest.raises(ValidationError):
        _load(sku_field(), value)


def test_ids_have_one_form() -> None:
    assert _load(id_field(), ID) == ID
    for other in (ID.upper(), ID.replace("-", ""), ID + "\n", "{" + ID + "}", ""):
        assert not is_id(other)
        with pytest.raises(ValidationError):
            _load(id_field(), other)


@pytest.mark.parametrize("value", ["", "xx" * 6, "a\x00b", "\ud800", 1])
def test_what_is_no_text(value: Any) -> None:
    with pytest.raises(ValidationError):
        _load(text_field(high=10), value)


def test_money_is_minor_units_of_a_known_currency() -> None:
    for currency in CURRENCIES:
        assert MoneySchema().validate({"amount": 99_999_999, "currency": currency}) == {}
    for bad in ({"amount": 1}, {"amount": -1, "currency": "usd"}, {"amount": 100_000_000, "currency": "usd"}):
        assert MoneySchema().validate(bad)
    assert MoneySchema().validate({"amount": 1, "currency": "usd", "more": 1})
    assert TolerantMoneySchema().load({"amount": 1, "currency": "usd", "more": 1}) == {"amount": 1, "currency": "usd"}


def test_strict_refuses_and_tolerant_passes_over_what_it_does_not_know() -> None:
    assert StrictSchema().validate({"more": 1})
    assert TolerantSchema().load({"more": 1}) == {}
