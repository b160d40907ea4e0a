"""Valid bodies of an order."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from services.orders.schemas import MAX_LINES, PlaceOrderSchema

TEA = {"sku": "TEA-1", "quantity": 2}


def errors_of(items: Any) -> Any:
    with pytest.raises(ValidationError) as refused:
        PlaceOrderSchema().load({"items": items, "payment_method": "pm_card_visa"})
    return refused.value.messages


def test_an_order_is_valid() -> None:
    body = {"items": [TEA, {"sku": "TEA-2", "quantity": 1}], "payment_method": "pm_card_visa"}
    assert PlaceOrderSchema().load(body) == body


def test_a_sku_may_occur_only_once() -> None:
    assert errors_of([TEA, TEA]) == {"items": ["Each sku once: TEA-1."]}


@pytest.mark.parametrize("item", [{}, {"quantity": 1}, {"sku": "A B", "quantity": 1}, [], None, 7, {"sku": []}])
def test_an_invalid_item_is_named_by_its_index(item: Any) -> None:
    assert list(errors_of([TEA, item])["items"]) == [1]


def test_the_number_of_lines_is_bounded() -> None:
    assert "items" in errors_of([])
    assert "items" in errors_of([{"sku": f"TEA-{number}", "quantity": 1} for number in range(MAX_LINES + 1)])


def test_many_invalid_items_are_one_validation_error() -> None:
    assert "items" in errors_of([{}] * 10_000)
