"""Two dead letters of one order without a replay: a cancelled order keeps no money and no stock."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, text

from common.messaging.events import from_json
from common.messaging.inbox import AlreadyHandled, Delivery
from common.money import Money
from common.storage.postgresql import autocommit, make_engine
from services.inventory import usecases as inventory
from services.inventory.tests.warehouse import add, stock
from services.orders import timeouts
from services.orders import usecases as orders
from services.orders.models import upsert_price
from services.orders.tests.builders import MESSAGE_CONTEXT, order_command
from services.payments import usecases as payments
from services.payments.resources import Resources
from services.payments.tests.builders import payment_of
from tests.schedules.provider import GOOD, SimulatedProvider
from workers.inventory.consumers import HANDLERS as INVENTORY
from workers.orders.consumers import HANDLERS as ORDERS
from workers.payments.consumers import HANDLERS as PAYMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from common.messaging.events import Event

pytestmark = pytest.mark.integration
_TAKE = text("DELETE FROM outbox RETURNING position, body")
HANDLERS: dict[str, dict[str, Any]] = {"orders": ORDERS, "inventory": INVENTORY, "payments": PAYMENTS}
CAPTURED, CANCELLED = "payment.captured.v1", "order.cancelled.v1"


@dataclass
class System:
    """Three contexts with a simulated delivery; `lost` are (consumer, type) pairs that are never handled."""

    engines: dict[str, Engine]
    provider: SimulatedProvider
    lost: set[tuple[str, str]]

    def carry(self) -> list[str]:
        """Deliver published events until none is left; returns their types."""
        types: list[str] = []
        while events := [event for engine in self.engines.values() for event in _taken(engine)]:
            for event in events:
                types.append(event.type)
                for consumer, handlers in HANDLERS.items():
                    if event.type in handlers and (consumer, event.type) not in self.lost:
                        self._handle(consumer, handlers[event.type], Delivery(consumer, event))
        return types

    def _handle(self, consumer: str, handler: Callable[..., None], delivery: Delivery) -> None:
        works_on: Any = self.engines[consumer]
        if consumer == "payments":
            works_on = Resources(works_on, self.provider)  # type: ignore[arg-type]  # it is simulated
        with suppress(AlreadyHandled):
            handler(delivery, works_on)

    def place(self) -> str:
        command = replace(order_command(), payment_method=GOOD)
        return orders.place_order(self.engines["orders"], command, MESSAGE_CONTEXT).order.id

    def time_out(self) -> None:
        timeouts.cancel_overdue_orders(
            self.engines["orders"], reading=10_000.0, bound_seconds=0, limit=9, should_continue=lambda: True
        )

    def ask(self) -> int:
        overdue = inventory.ask_about_overdue(self.engines["inventory"], held_seconds=0, limit=9)
        return overdue + payments.ask_about_overdue(self.engines["payments"], quiet_seconds=0, limit=9)


def _taken(engine: Engine) -> list[Event]:
    with autocommit(engine) as connection:
        rows = sorted(connection.execute(_TAKE).all(), key=lambda row: row.position)
    return [from_json(row.body) for row in rows]


@pytest.fixture
def system(migrated_database: Callable[[str], str]) -> Iterator[System]:
    engines = {}
    for context in ("orders", "inventory", "payments"):
        engines[context] = make_engine(migrated_database(context), pool_size=2, timeout_seconds=60, name="test")
    with autocommit(engines["orders"]) as connection:
        upsert_price(connection, sku="TEA", name="Tea", price=Money(450, "usd"), sequence=1)
    add(engines["inventory"], "TEA", 10)
    made = System(engines, SimulatedProvider(lambda _: 0, lambda _: None), set())
    made.carry()
    yield made
    for engine in engines.values():
        engine.dispose()


def test_a_cancelled_order_is_refunded_without_replaying_its_dead_letters(system: System) -> None:
    system.lost |= {("orders", CAPTURED), ("payments", CANCELLED)}
    order = system.place()
    system.carry()
    system.time_out()
    system.carry()
    assert stock(system.engines["inventory"], "TEA") == (10, 0, 0)
    payment = payment_of(system.engines["payments"], order)
    assert (payment.status, payment.cancel_requested) == ("captured", False)

    system.lost.clear()  # lost events stay lost; later ones are handled
    assert system.ask() == 1
    assert CANCELLED in system.carry()
    assert payment_of(system.engines["payments"], order).status == "refunded"
    assert system.ask() == 0
