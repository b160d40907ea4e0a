"""Builders for the tests of orders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.messaging.events import Contract, Event, MessageContext, from_json, new_id
from common.messaging.inbox import Delivery
from common.schemas import TolerantSchema
from common.storage.postgresql import autocommit
from services.orders import usecases
from services.orders.domain import WantedItem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

MESSAGE_CONTEXT = MessageContext("test")


def order_command(
    customer: str = "ann", key: str = "", quantity: int = 1, fingerprint: str = "f"
) -> usecases.PlaceOrder:
    return usecases.PlaceOrder(
        customer_id=customer,
        key=key or new_id(),
        fingerprint=fingerprint,
        items=[WantedItem("TEA", quantity)],
        payment_method="pm_card_visa",
    )


def place(engine: Engine) -> str:
    return usecases.place_order(engine, order_command(), MESSAGE_CONTEXT).order.id


def delivery_of(event_type: str, order_id: str, sequence: int = 1, **data: Any) -> Delivery:
    """A new event about the order, as another context publishes it."""
    contract = Contract(event_type, "/services/elsewhere", TolerantSchema(), "")
    values = {"order_id": order_id} | data
    event = contract.event(
        subject=order_id, sequence=sequence, data=values, message_context=MESSAGE_CONTEXT, order_id=order_id
    )
    return Delivery("orders", event)


def published(engine: Engine, subject: str) -> list[Event]:
    """The events in the outbox about `subject`, in order."""
    with autocommit(engine) as connection:
        bodies = connection.execute(text("SELECT body FROM outbox ORDER BY position")).scalars().all()
    return [event for event in map(from_json, bodies) if event.subject == subject]


def together(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Make `count` concurrent calls, each in its own thread."""
    barrier = Barrier(count, timeout=60)

    def run(number: int) -> Any:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(count) as executor:
        return list(executor.map(run, range(count)))
