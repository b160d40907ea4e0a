"""Builders for the tests of inventory: products, orders, their events, and the resulting stock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.messaging.events import Contract, MessageContext, from_json, new_id
from common.messaging.inbox import Delivery
from common.money import Money
from common.schemas import TolerantSchema
from common.storage.postgresql import autocommit
from services.inventory import usecases
from services.inventory.domain import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Engine

    from common.messaging.events import Event

MESSAGE_CONTEXT = MessageContext("test")
PRICE = Money(1999, "usd")
THREADS = 20
WAIT_SECONDS = 60


def add(engine: Engine, sku: str, on_hand: int) -> None:
    command = usecases.NewProduct(sku=sku, name=f"The {sku}", price=PRICE, on_hand=on_hand)
    usecases.add_product(engine, command, request_key=None, message_context=MESSAGE_CONTEXT)


def adjust(engine: Engine, sku: str, delta: int) -> None:
    usecases.adjust_stock(
        engine, sku, delta=delta, reason="stock-take", request_key=None, message_context=MESSAGE_CONTEXT
    )


def stock(engine: Engine, sku: str) -> tuple[int, int, int]:
    """(on_hand, reserved, sold)"""
    product = usecases.get_product(engine, sku)
    return product["on_hand"], product["reserved"], product["sold"]


def delivery(event_type: str, order_id: str) -> Delivery:
    """A new event about the order; use cases do not read its data."""
    contract = Contract(event_type, "/services/orders", TolerantSchema(), "")
    return Delivery(
        "inventory",
        contract.event(subject=order_id, sequence=1, data={}, message_context=MESSAGE_CONTEXT, order_id=order_id),
    )


def place(engine: Engine, order_id: str, *lines: tuple[str, int]) -> None:
    """Place an order by a new event, which the inbox does not know, like after pruning."""
    incoming = delivery("order.placed.v1", order_id)
    usecases.order_was_placed(engine, incoming, order_id, [Line(sku, quantity) for sku, quantity in lines])


def confirm(engine: Engine, order_id: str) -> None:
    usecases.order_was_confirmed(engine, delivery("order.confirmed.v1", order_id), order_id)


def cancel(engine: Engine, order_id: str) -> None:
    usecases.order_was_cancelled(engine, delivery("order.cancelled.v1", order_id), order_id)


def new_order() -> str:
    return new_id()


def published(engine: Engine, subject: str | None = None) -> list[Event]:
    """The events in the outbox, in order, of one subject or of all."""
    with autocommit(engine) as connection:
        bodies = connection.execute(text("SELECT body FROM outbox ORDER BY position")).scalars()
        events = [from_json(body) for body in bodies]
    return [event for event in events if subject in {None, event.subject}]


def published_data(engine: Engine, subject: str) -> list[tuple[str, int, dict[str, Any]]]:
    return [(event.type, event.sequence, event.data) for event in published(engine, subject)]


def types(engine: Engine, subject: str) -> list[str]:
    return [event.type for event in published(engine, subject)]


def status_of(engine: Engine, order_id: str) -> str | None:
    with autocommit(engine) as connection:
        found = connection.execute(text("SELECT status FROM reservations WHERE order_id = :id"), {"id": order_id})
        return found.scalar_one_or_none()


def together(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """Make all calls concurrently, each in its own thread; raises the first error."""
    work = list(calls)
    barrier = Barrier(len(work), timeout=WAIT_SECONDS)

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(min(len(work), THREADS)) as executor:
        return [future.result(WAIT_SECONDS) for future in [executor.submit(run, call) for call in work]]


def check_books(engine: Engine) -> None:
    """Stock is conserved and never oversold, and every subject's events count 1, 2, 3 ... up to its version."""
    with autocommit(engine) as connection:
        products = connection.execute(text("SELECT sku, on_hand, reserved, sold, version FROM products")).all()
        reservations = connection.execute(text("SELECT order_id::text, status, items, version FROM reservations")).all()
    events = published(engine)
    for sku, on_hand, reserved, sold, version in products:
        received = sum(
            event.data["delta"] for event in events if event.type == "stock.adjusted.v1" and event.subject == sku
        )
        held = sum(_quantity(items, sku) for _, status, items, _ in reservations if status == "held")
        gone = sum(_quantity(items, sku) for _, status, items, _ in reservations if status == "sold")
        assert (on_hand, reserved, sold) == (received - gone, held, gone), sku
        assert 0 <= reserved <= on_hand, sku
        assert _sequences(events, sku) == list(range(1, version + 1)), sku
    for order_id, _, _, version in reservations:
        assert _sequences(events, order_id) == list(range(1, version + 1)), order_id


def _quantity(items: list[dict[str, Any]], sku: str) -> int:
    return sum(item["quantity"] for item in items if item["sku"] == sku)


def _sequences(events: list[Event], subject: str) -> list[int]:
    return [event.sequence for event in events if event.subject == subject]
