"""Every event twice, late and out of order, through the table of handlers and on a real database."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import Rejected
from common.messaging.events import InvalidEventError, from_document
from services.inventory.tests import warehouse
from services.inventory.tests.warehouse import add, new_order, published, status_of, stock, types
from workers.inventory.consumers import HANDLERS
from workers.inventory.tests.event_samples import CANCELLED, CONFIRMED, PLACED, event, receive, sample

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.events import Event

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("incoming", "status", "left", "published"),
    [
        ([PLACED], "held", (10, 2, 0), ["stock.reserved.v1"]),
        ([PLACED, CONFIRMED], "sold", (8, 0, 2), ["stock.reserved.v1", "stock.sold.v1"]),
        ([PLACED, CANCELLED], "released", (10, 0, 0), ["stock.reserved.v1", "stock.released.v1"]),
        ([CANCELLED, PLACED], "cancelled", (10, 0, 0), []),
        ([CANCELLED], "cancelled", (10, 0, 0), []),
    ],
)
def test_golden_samples_are_handled_once_each(
    engine: Engine, incoming: list[str], status: str, left: tuple[int, int, int], published: list[str]
) -> None:
    add(engine, "KETTLE-RED", 10)
    add(engine, "TEA-EARL-GREY", 10)
    order = sample(PLACED)["data"]["order_id"]
    for name in incoming:
        document = from_document(sample(name))
        assert receive(engine, document)
        assert not receive(engine, document)
    assert status_of(engine, order) == status
    assert stock(engine, "KETTLE-RED") == left
    assert types(engine, order) == published
    warehouse.check_books(engine)


def test_unused_fields_may_change(engine: Engine) -> None:
    add(engine, "A", 5)
    order = new_order()
    assert receive(engine, event(PLACED, order, {"A": 2}, {"total": "free", "customer_id": None, "gift_wrap": True}))
    assert receive(engine, event(CONFIRMED, order, changes={"total": [], "note": "thanks"}))
    assert stock(engine, "A") == (3, 0, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": "42"},
        {"order_id": None},
        {"items": []},
        {"items": "A"},
        {"items": [{"sku": "A"}]},
        {"items": [{"sku": "A", "quantity": 0}]},
        {"items": [{"sku": "A", "quantity": -1}]},
        {"items": [{"sku": "A", "quantity": 1.5}]},
        {"items": [{"sku": "A", "quantity": 2**63}]},
        {"items": [{"sku": "A\x00", "quantity": 1}]},
    ],
)
def test_a_malformed_event_is_rejected_permanently(engine: Engine, changes: dict[str, Any]) -> None:
    add(engine, "A", 5)
    with pytest.raises(InvalidEventError):
        receive(engine, event(PLACED, new_order(), changes=changes))
    assert stock(engine, "A") == (5, 0, 0)


def test_the_largest_quantity_is_out_of_stock(engine: Engine) -> None:
    add(engine, "A", 5)
    order = new_order()
    items = [{"sku": "A", "quantity": 2**63 - 1}, {"sku": "A", "quantity": 2**63 - 1}]
    assert receive(engine, event(PLACED, order, changes={"items": items}))
    assert types(engine, order) == ["stock.rejected.v1"]


@pytest.mark.parametrize("seed", range(4))
def test_stock_is_conserved_for_any_events(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    for sku in "ABC":
        add(engine, sku, 12)
    for incoming in _story(chance):
        with suppress(Rejected):  # a dead letter: nothing may have changed
            receive(engine, incoming)
    warehouse.check_books(engine)
    assert {incoming.type for incoming in published(engine)} >= {
        "stock.reserved.v1",
        "stock.rejected.v1",
        "stock.sold.v1",
    }


def _story(chance: random.Random) -> list[Event]:
    """Orders and their final events, shuffled, some duplicated, some replayed with an id that is new to the inbox."""
    events = []
    for _ in range(20):
        order = new_order()
        lines = {sku: chance.randint(1, 3) for sku in chance.sample("ABC", chance.randint(1, 3))}
        events += [event(PLACED, order, lines), event(PLACED, order, lines)]
        events += [event(chance.choice((CONFIRMED, CANCELLED)), order) for _ in range(2)]
    events += chance.choices(events, k=20)
    chance.shuffle(events)
    return sorted(events, key=lambda incoming: (incoming.type != PLACED) * chance.random())


def test_there_is_a_handler_for_each_event_that_inventory_consumes() -> None:
    assert set(HANDLERS) == {PLACED, CONFIRMED, CANCELLED}
