from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import Conflict, NotFound
from common.money import Money
from common.web.idempotency import RequestKey
from services.inventory import usecases
from services.inventory.domain import BelowReservedError, SkuTakenError, StockTooLargeError
from services.inventory.tests import warehouse
from services.inventory.tests.warehouse import (
    MESSAGE_CONTEXT,
    add,
    adjust,
    new_order,
    place,
    published_data,
    stock,
    together,
    types,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration


def change(engine: Engine, sku: str = "A", *, name: str | None = None, price: Money | None = None) -> dict[str, Any]:
    return usecases.change_product(
        engine, sku, name=name, price=price, request_key=None, message_context=MESSAGE_CONTEXT
    ).body


@pytest.mark.parametrize("on_hand", [0, 7])
def test_every_product_starts_with_the_same_two_events(engine: Engine, on_hand: int) -> None:
    add(engine, "A", on_hand)
    price = {"amount": 1999, "currency": "usd"}
    assert published_data(engine, "A") == [
        ("product.listed.v1", 1, {"sku": "A", "name": "The A", "price": price}),
        ("stock.adjusted.v1", 2, {"sku": "A", "delta": on_hand, "reason": "initial", "on_hand": on_hand}),
    ]
    assert usecases.get_product(engine, "A")["version"] == 2


def test_a_sku_is_unique(engine: Engine) -> None:
    add(engine, "A", 1)
    with pytest.raises(SkuTakenError):
        add(engine, "A", 5)
    assert stock(engine, "A") == (1, 0, 0)
    assert len(published_data(engine, "A")) == 2


def test_concurrent_creations_of_one_sku_create_one_product(engine: Engine) -> None:
    def try_to_add() -> bool:
        try:
            add(engine, "A", 1)
        except SkuTakenError:
            return False
        return True

    assert sorted(together([try_to_add] * 4)) == [False, False, False, True]
    assert len(published_data(engine, "A")) == 2


def test_a_change_publishes_an_event_and_no_change_publishes_none(engine: Engine) -> None:
    add(engine, "A", 7)
    changed = change(engine, price=Money(5, "eur"))
    assert (changed["price"], changed["name"], changed["version"]) == ({"amount": 5, "currency": "eur"}, "The A", 3)
    assert change(engine, price=Money(5, "eur")) == changed
    assert change(engine, name="Other")["version"] == 4
    assert published_data(engine, "A")[2:] == [
        ("product.changed.v1", 3, {"sku": "A", "name": "The A", "price": {"amount": 5, "currency": "eur"}}),
        ("product.changed.v1", 4, {"sku": "A", "name": "Other", "price": {"amount": 5, "currency": "eur"}}),
    ]


def test_adjustments_change_stock_and_publish_events(engine: Engine) -> None:
    add(engine, "A", 7)
    adjust(engine, "A", 5)
    adjust(engine, "A", -12)
    assert stock(engine, "A") == (0, 0, 0)
    assert [(data["delta"], data["on_hand"]) for _, _, data in published_data(engine, "A")[1:]] == [
        (7, 7),
        (5, 12),
        (-12, 0),
    ]
    warehouse.check_books(engine)


def test_a_rejected_adjustment_changes_nothing(engine: Engine) -> None:
    add(engine, "A", 7)
    place(engine, new_order(), ("A", 6))
    with pytest.raises(BelowReservedError):
        adjust(engine, "A", -2)
    with pytest.raises(StockTooLargeError):
        adjust(engine, "A", 1_000_000_000)
    assert stock(engine, "A") == (7, 6, 0)
    assert types(engine, "A") == ["product.listed.v1", "stock.adjusted.v1"]


def test_concurrent_adjustments_all_apply(engine: Engine) -> None:
    add(engine, "A", 0)
    together(partial(adjust, engine, "A", delta) for delta in range(1, 21))
    assert stock(engine, "A") == (210, 0, 0)
    warehouse.check_books(engine)


def test_a_price_change_keeps_concurrent_stock_changes(engine: Engine) -> None:
    add(engine, "A", 100)
    orders = [partial(place, engine, new_order(), ("A", 1)) for _ in range(10)]
    together([*orders, *(partial(change, engine, price=Money(amount, "usd")) for amount in range(1, 11))])
    assert stock(engine, "A") == (100, 10, 0)
    warehouse.check_books(engine)


def test_unknown_products_raise_not_found(engine: Engine) -> None:
    for call in (
        partial(usecases.get_product, engine, "A"),
        partial(change, engine, name="x"),
        partial(adjust, engine, "A", 1),
    ):
        with pytest.raises(NotFound):
            call()


def test_an_idempotency_key_applies_an_adjustment_once(engine: Engine) -> None:
    add(engine, "A", 7)
    key = RequestKey("operator POST adjustments", "key-1", "fingerprint")

    def adjust_once() -> int | str:
        try:
            reply = usecases.adjust_stock(
                engine, "A", delta=1, reason="delivery", request_key=key, message_context=MESSAGE_CONTEXT
            )
        except Conflict as refused:
            return refused.code
        return int(reply.body["on_hand"])

    assert set(together([adjust_once] * 8)) <= {8, "idempotency_key_in_flight"}
    assert adjust_once() == 8
    assert stock(engine, "A") == (8, 0, 0)


def test_products_are_listed_by_sku(engine: Engine) -> None:
    for sku in ("b", "A-2", "A", "a", "A.1", "B"):
        add(engine, sku, 0)
    skus = [product["sku"] for product in usecases.list_products(engine, after=None, limit=100)]
    assert skus == ["A", "A-2", "A.1", "B", "a", "b"]
    page = [product["sku"] for product in usecases.list_products(engine, after="A.1", limit=2)]
    assert page == ["B", "a"]
