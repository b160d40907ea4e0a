"""A resent final event reaches a context that missed it, and changes nothing for one that did not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.messaging.events import from_json
from common.messaging.inbox import AlreadyHandled, Delivery
from common.money import Money
from common.storage.postgresql import autocommit, make_engine
from services.inventory import usecases as inventory
from services.inventory.tests.warehouse import add, stock
from services.orders import usecases as orders
from services.orders.domain import CancelReason
from services.orders.models import upsert_price
from services.orders.tests.builders import delivery_of, place
from workers.inventory.consumers import HANDLERS as INVENTORY
from workers.orders.consumers import HANDLERS as ORDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from common.messaging.events import Event

pytestmark = pytest.mark.integration
_TAKE = text("DELETE FROM outbox RETURNING position, body")


@dataclass
class Shop:
    """Orders and inventory, with methods that deliver their events to each other."""

    orders: Engine
    inventory: Engine
    duplicates: list[str] = field(default_factory=list)

    def take(self, engine: Engine) -> list[Event]:
        """Remove and return the events of an outbox."""
        with autocommit(engine) as connection:
            rows = sorted(connection.execute(_TAKE).all(), key=lambda row: row.position)
        return [from_json(row.body) for row in rows]

    def deliver_to_inventory(self) -> list[Event]:
        """Deliver the events of orders to inventory; returns them."""
        events = self.take(self.orders)
        for event in events:
            try:
                INVENTORY[event.type](Delivery("inventory", event), self.inventory)
            except AlreadyHandled:
                self.duplicates.append(event.id)
        return events

    def deliver_to_orders(self) -> list[str]:
        """Deliver inventory's events to orders; returns their types."""
        events = [event for event in self.take(self.inventory) if event.orderid and event.type in ORDERS]
        for event in events:
            ORDERS[event.type](Delivery("orders", event), self.orders)
        return [event.type for event in events]


@pytest.fixture
def shop(migrated_database: Callable[[str], str]) -> Iterator[Shop]:
    engines = [
        make_engine(migrated_database(context), pool_size=2, timeout_seconds=60, name="test")
        for context in ("orders", "inventory")
    ]
    with autocommit(engines[0]) as connection:
        upsert_price(connection, sku="TEA", name="Tea", price=Money(450, "usd"), sequence=1)
    add(engines[1], "TEA", 10)
    yield Shop(orders=engines[0], inventory=engines[1])
    for engine in engines:
        engine.dispose()


def end(shop: Shop, order_id: str, event_type: str) -> None:
    if event_type == "order.confirmed.v1":
        orders.confirm_order(shop.orders, delivery_of("payment.captured.v1", order_id), order_id)
    else:
        failed = delivery_of("payment.declined.v1", order_id)
        orders.cancel_failed_order(shop.orders, failed, order_id, CancelReason.PAYMENT_DECLINED)


@pytest.mark.parametrize(
    ("event_type", "after"), [("order.confirmed.v1", (9, 0, 1)), ("order.cancelled.v1", (10, 0, 0))]
)
def test_a_context_that_missed_the_final_event_requests_and_receives_it(
    shop: Shop, event_type: str, after: tuple[int, ...]
) -> None:
    order = place(shop.orders)
    shop.deliver_to_inventory()
    shop.deliver_to_orders()
    end(shop, order, event_type)
    (lost,) = shop.take(shop.orders)  # inventory never receives it
    assert stock(shop.inventory, "TEA") == (10, 1, 0)

    assert inventory.ask_about_overdue(shop.inventory, held_seconds=0, limit=10) == 1
    assert shop.deliver_to_orders() == ["reservation.overdue.v1"]
    assert shop.deliver_to_inventory() == [lost]  # byte for byte: the archive and other consumers see a duplicate
    assert (stock(shop.inventory, "TEA"), shop.duplicates) == (after, [])
    assert inventory.ask_about_overdue(shop.inventory, held_seconds=0, limit=10) == 0


def test_a_context_that_handled_the_final_event_drops_its_duplicate(shop: Shop) -> None:
    order = place(shop.orders)
    shop.deliver_to_inventory()
    end(shop, order, "order.confirmed.v1")
    (published,) = shop.deliver_to_inventory()
    for _ in range(2):
        assert orders.resend_final_event(shop.orders, order).version == published.sequence
    assert shop.deliver_to_inventory() == [published, published]
    assert shop.duplicates == [published.id, published.id]
    assert stock(shop.inventory, "TEA") == (9, 0, 1)


def test_an_open_order_has_no_final_event(shop: Shop) -> None:
    order = place(shop.orders)
    shop.deliver_to_inventory()
    assert inventory.ask_about_overdue(shop.inventory, held_seconds=0, limit=10) == 1
    assert shop.deliver_to_orders() == ["stock.reserved.v1", "reservation.overdue.v1"]
    with pytest.raises(orders.NoFinalEventError):
        orders.resend_final_event(shop.orders, order)
    assert shop.deliver_to_inventory() == []
    assert stock(shop.inventory, "TEA") == (10, 1, 0)
