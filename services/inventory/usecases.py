"""Inventory use cases; the only layer that opens transactions.

The inbox and the reservation's status guard every event handler, so a redelivery changes nothing, even after the inbox
was pruned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from common.errors import Contention, NotFound
from common.messaging import outbox
from common.messaging.inbox import once
from common.messaging.message_context import new_trace_context
from common.storage.postgresql import autocommit, transaction
from common.web.idempotency import claim
from services.inventory import domain, models, producers, reservations
from services.inventory.domain import MOVES, Line, Product, Reservation, Status, Stock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from common.messaging.events import Event, MessageContext
    from common.messaging.inbox import Delivery, Work
    from common.money import Money
    from common.web.idempotency import Reply, RequestKey

INITIAL = "initial"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProduct:
    sku: str
    name: str
    price: Money
    on_hand: int


def add_product(
    engine: Engine, command: NewProduct, *, request_key: RequestKey | None, message_context: MessageContext
) -> Reply:
    """Put a product on sale. Raises `SkuTakenError`.

    Its first stock is an adjustment like any other, published for 0 as well: every product's history begins with the
    same two events, and the sum of the deltas is the received quantity.
    """
    listed = Product(sku=command.sku, name=command.name, price=command.price, stock=Stock(), version=1)

    def add(connection: Connection) -> Product:
        product = domain.adjust(listed, command.on_hand)
        if not models.insert_product(connection, product):
            raise domain.SkuTakenError(f"the product {command.sku} already exists")
        adjusted = producers.stock_adjusted(
            product, delta=command.on_hand, reason=INITIAL, message_context=message_context
        )
        outbox.add(connection, producers.product_listed(listed, message_context), adjusted)
        return product

    return _reply(engine, request_key, 201, add)


def change_product(
    engine: Engine,
    sku: str,
    *,
    name: str | None,
    price: Money | None,
    request_key: RequestKey | None,
    message_context: MessageContext,
) -> Reply:
    """Rename or reprice. Without a change there is no event."""

    def change(connection: Connection) -> Product:
        product = _there(models.lock_product(connection, sku))
        changed = domain.change(product, name=name, price=price)
        if changed is None:
            return product
        models.update_product(connection, changed)
        outbox.add(connection, producers.product_changed(changed, message_context))
        return changed

    return _reply(engine, request_key, 200, change)


def adjust_stock(
    engine: Engine,
    sku: str,
    *,
    delta: int,
    reason: str,
    request_key: RequestKey | None,
    message_context: MessageContext,
) -> Reply:
    """Book a delivery, a stock-take or a loss. Raises `BelowReservedError` and `StockTooLargeError`."""

    def adjust(connection: Connection) -> Product:
        product = domain.adjust(_there(models.lock_product(connection, sku)), delta)
        models.update_product(connection, product)
        outbox.add(
            connection, producers.stock_adjusted(product, delta=delta, reason=reason, message_context=message_context)
        )
        return product

    return _reply(engine, request_key, 200, adjust)


def get_product(engine: Engine, sku: str) -> dict[str, Any]:
    with autocommit(engine) as connection:
        return render_product(_there(models.get_product(connection, sku)))


def list_products(engine: Engine, *, after: str | None, limit: int) -> list[dict[str, Any]]:
    with autocommit(engine) as connection:
        return [render_product(product) for product in models.page_of_products(connection, after=after, limit=limit)]


def render_product(product: Product) -> dict[str, Any]:
    return {
        "sku": product.sku,
        "name": product.name,
        "price": producers.money(product.price),
        "on_hand": product.stock.on_hand,
        "reserved": product.stock.reserved,
        "available": product.stock.available,
        "sold": product.stock.sold,
        "version": product.version,
    }


def orders_together(
    connection: Connection, *, placed: Mapping[str, Sequence[Line]], others: Sequence[str]
) -> AbstractContextManager[None]:
    """Around the use cases of several events: lock and write their orders' reservations and stock together.

    `placed` are the lines of new orders; `others` are orders that end.
    """
    new = [_new_reservation(order_id, lines) for order_id, lines in placed.items()]
    return reservations.together(connection, placed=new, order_ids=others)


def order_was_placed(work: Work, delivery: Delivery, order_id: str, lines: Sequence[Line]) -> None:
    """Reserve all lines or none. A known or already cancelled order changes nothing."""
    reservation = _new_reservation(order_id, lines)
    with once(work, delivery) as connection:
        available = reservations.claim(connection, reservation)
        if available is None:
            return
        refusal = domain.refuse(reservation.lines, available)
        if refusal is None:
            row = outbox.row(connection, producers.stock_reserved(reservation, delivery.message_context))
            reservations.hold(connection, reservation, MOVES[Status.HELD], row)
        else:
            rejected = replace(reservation, status=Status.REJECTED)
            row = outbox.row(connection, producers.stock_rejected(rejected, refusal, delivery.message_context))
            reservations.reject(connection, rejected, row)


def order_was_confirmed(work: Work, delivery: Delivery, order_id: str) -> None:
    """The reservation becomes a sale."""
    with once(work, delivery) as connection:
        reservation = reservations.lock_reservation(connection, order_id)
        status = domain.when_order_is_confirmed(reservation.status if reservation else None)
        if reservation and status:
            sold = _next(reservation, status)
            _settle(connection, sold, producers.stock_sold(sold, delivery.message_context))


def order_was_cancelled(work: Work, delivery: Delivery, order_id: str) -> None:
    """Release a reservation. The cancellation of an unknown order is recorded, so that it never reserves stock."""
    with once(work, delivery) as connection:
        reservation = reservations.lock_reservation(connection, order_id)
        status = domain.when_order_is_cancelled(reservation.status if reservation else None)
        if reservation and status:
            released = _next(reservation, status)
            _settle(connection, released, producers.stock_released(released, delivery.message_context))
        elif status and not reservations.remember_cancelled(connection, order_id):
            raise Contention("the order was placed concurrently")  # the retry finds its reservation


def ask_about_overdue(engine: Engine, *, held_seconds: float, limit: int) -> int:
    """Ask for the end of orders with overdue reservations; returns how many.

    Nothing is released on a guess: orders replies by publishing the order's final event again, if there is one.
    """
    with transaction(engine) as connection:
        held = reservations.ask_about_held(connection, held_seconds=held_seconds, limit=limit)
        if held:
            with new_trace_context("ask about reserved stock") as message_context:
                outbox.add(
                    connection, *(producers.reservation_overdue(reservation, message_context) for reservation in held)
                )
    return len(held)


def _new_reservation(order_id: str, lines: Sequence[Line]) -> Reservation:
    return Reservation(order_id=order_id, status=Status.HELD, lines=domain.merge(lines), version=1)


def _next(reservation: Reservation, status: Status) -> Reservation:
    return replace(reservation, status=status, version=reservation.version + 1)


def _settle(connection: Connection, reservation: Reservation, event: Event) -> None:
    reservations.settle(connection, reservation, MOVES[reservation.status], outbox.row(connection, event))


def _reply(engine: Engine, request_key: RequestKey | None, status: int, work: Callable[[Connection], Product]) -> Reply:
    """Execute the request once per key; returns the product of the first reply."""
    with transaction(engine) as connection, claim(connection, request_key) as attempt:
        return attempt.reply or attempt.store(status, render_product(work(connection)))


def _there(product: Product | None) -> Product:
    if product is None:
        raise NotFound("no such product")
    return product
