"""Order use cases; the only layer that opens transactions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from common.errors import Conflict, Rejected
from common.messaging import outbox
from common.messaging.events import new_id, utc_now
from common.messaging.inbox import Delivery, Work, after_commit, once
from common.resilience.crash_points import crash_point
from common.security.visibility import require_visible
from common.storage.postgresql import autocommit, transaction
from common.web.idempotency import claim
from common.web.load_shedding import NEVER
from services.orders import domain, metrics, models, producers
from services.orders.domain import CancelReason, Order, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from common.messaging.events import Event, MessageContext
    from common.money import Money
    from common.web.idempotency import Reply, RequestKey
    from common.web.load_shedding import Shedding
    from services.orders.domain import WantedItem
    from services.orders.search import OrderFilter


class KeyReusedError(Rejected):
    """The customer has used this Idempotency-Key for another order (https://stripe.com/docs/api/idempotent_requests)."""

    code = "idempotency_key_reused"


class NoFinalEventError(Conflict):
    """The order has no final event to publish again."""

    code = "order_has_no_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """A customer's command. `fingerprint` distinguishes bodies with the same key."""

    customer_id: str
    key: str
    fingerprint: str
    items: Sequence[WantedItem]
    payment_method: str


@dataclass(frozen=True, slots=True)
class Placed:
    order: Order
    replayed: bool


def place_order(
    engine: Engine, command: PlaceOrder, message_context: MessageContext, shedding: Shedding = NEVER
) -> Placed:
    """Accept the order, once per customer and key, for ever: the order itself is the stored response.

    It uses two statements without a transaction: the second one writes order and event together, and the unique key
    decides between concurrent requests. Raises `OverloadedError` while the backlog is too large; a repetition gets its
    response even then.
    """
    with autocommit(engine) as connection:
        earlier, prices = _read_for_placing(connection, command, shedding)
        if earlier is None:
            shedding.check()
            order = _new_order(command, prices)
            row = outbox.row(connection, producers.order_placed(order, message_context))
            crash_point("orders.placing")
            if models.insert_placed(
                connection, order, key=command.key, fingerprint=command.fingerprint, outbox_row=row
            ):
                crash_point("orders.placed")
                metrics.count_accepted()
                return Placed(order, replayed=False)
            earlier, _ = _read_for_placing(connection, command, NEVER)
    if earlier is None:
        raise Conflict("another request with this key has just ended", code="idempotency_key_in_flight")
    if earlier.fingerprint != command.fingerprint:
        raise KeyReusedError("this Idempotency-Key was used for another order")
    return Placed(_as_placed(earlier.order), replayed=True)


def get_order(engine: Engine, order_id: str, *, customer_id: str | None) -> Order:
    """`customer_id` None sees all; a customer sees only their own."""
    with autocommit(engine) as connection:
        return _require(models.get(connection, order_id), customer_id)


def list_orders(engine: Engine, criteria: OrderFilter, *, before: str | None, limit: int) -> list[Order]:
    with autocommit(engine) as connection:
        return models.page(connection, criteria, before=before, limit=limit)


def cancel_order(
    engine: Engine,
    order_id: str,
    *,
    customer_id: str | None,
    request_key: RequestKey | None,
    render: Callable[[Order], dict[str, Any]],
    message_context: MessageContext,
) -> Reply:
    """Cancel for the customer; a cancelled order is returned unchanged. Raises `NotCancellableError` once confirmed."""
    with transaction(engine) as connection, claim(connection, request_key) as attempt:
        if attempt.reply:
            return attempt.reply
        order = _require(models.lock(connection, order_id), customer_id)
        open_yet = domain.when_customer_cancels(order.status) is not None
        if open_yet:
            order = cancel(connection, order, CancelReason.CUSTOMER_REQUEST, message_context)
        reply = attempt.store(200, render(order))
    if open_yet:
        metrics.count_ended(order)
    return reply


def orders_together(connection: Connection, order_ids: Sequence[str]) -> AbstractContextManager[None]:
    """Around the use cases of several events: lock their orders at once, and write the changed ones at once."""
    return models.together(connection, order_ids)


def upsert_price(work: Work, delivery: Delivery, *, sku: str, name: str, price: Money) -> None:
    with once(work, delivery) as connection:
        models.upsert_price(connection, sku=sku, name=name, price=price, sequence=delivery.event.sequence)


def mark_reserved(work: Work, delivery: Delivery, order_id: str) -> None:
    def change(connection: Connection, order: Order) -> None:
        if status := domain.when_stock_is_reserved(order.status):
            models.change(connection, replace(order, status=status))

    _handle(work, delivery, order_id, change)


def confirm_order(work: Work, delivery: Delivery, order_id: str) -> None:
    def change(connection: Connection, order: Order) -> Order | None:
        if status := domain.when_payment_is_captured(order.status):
            confirmed = replace(order, status=status, version=order.version + 1)
            end(connection, confirmed, producers.order_confirmed(confirmed, delivery.message_context))
            return confirmed
        if order.status is Status.CANCELLED:
            # Too late: the capture must be undone. Payments does that already; if it has missed the
            # cancellation, it gets it again; consumers that have received it drop the duplicate.
            publish_final_event_again(connection, order)
        return None

    _handle(work, delivery, order_id, change)


def cancel_failed_order(work: Work, delivery: Delivery, order_id: str, reason: CancelReason) -> None:
    """Stock rejected or payment declined."""

    def change(connection: Connection, order: Order) -> Order | None:
        return (
            cancel(connection, order, reason, delivery.message_context) if domain.when_it_fails(order.status) else None
        )

    _handle(work, delivery, order_id, change)


def resend_when_overdue(work: Work, delivery: Delivery, order_id: str) -> None:
    """Publish the final event again for a context that has waited long for it. An open order ends automatically."""
    with once(work, delivery) as connection:
        publish_final_event_again(connection, _require(models.lock(connection, order_id)))


def resend_final_event(engine: Engine, order_id: str) -> Order:
    """Publish the order's final event again; returns the order. Raises `NoFinalEventError`."""
    with transaction(engine) as connection:
        order = _require(models.lock(connection, order_id))
        if not publish_final_event_again(connection, order):
            raise NoFinalEventError("the order is open, or ended before its final event was stored")
        return order


def cancel(connection: Connection, order: Order, reason: CancelReason, message_context: MessageContext) -> Order:
    """Cancel a locked order that is open."""
    cancelled = replace(order, status=Status.CANCELLED, cancel_reason=reason, version=order.version + 1)
    end(connection, cancelled, producers.order_cancelled(cancelled, message_context))
    return cancelled


def end(connection: Connection, order: Order, event: Event) -> None:
    """Write the order's end, its event, and the envelope to recreate it."""
    models.change(connection, order, producers.envelope(event))
    outbox.add(connection, event)


def publish_final_event_again(connection: Connection, order: Order) -> bool:
    """Publish a locked order's final event again, unchanged; False if there is none (yet)."""
    stored = models.final_envelope(connection, order.id)
    if stored is None:
        return False
    outbox.add(connection, producers.recreate_final_event(order, stored))
    return True


def _handle(work: Work, delivery: Delivery, order_id: str, change: Callable[[Connection, Order], Order | None]) -> None:
    """Once per delivery; `change` returns the order if it has ended it."""
    with once(work, delivery) as connection:
        ended = change(connection, _require(models.lock(connection, order_id)))
    if ended is not None:
        after_commit(work, partial(metrics.count_ended, ended))


def _read_for_placing(
    connection: Connection, command: PlaceOrder, shedding: Shedding
) -> tuple[models.EarlierOrder | None, dict[str, Money]]:
    skus = [item.sku for item in command.items]
    found = models.find_for_placing(
        connection, customer_id=command.customer_id, key=command.key, skus=skus, measure=shedding.is_due()
    )
    if found.backlog is not None:
        shedding.observe(found.backlog)
    return found.earlier, dict(found.prices)


def _new_order(command: PlaceOrder, prices: dict[str, Money]) -> Order:
    lines, total = domain.price(command.items, prices)
    return Order(
        id=new_id(),
        customer_id=command.customer_id,
        status=Status.PENDING,
        lines=lines,
        total=total,
        payment_method=command.payment_method,
        version=1,
        created_at=utc_now(),
    )


def _as_placed(order: Order) -> Order:
    """The order as in the first response."""
    return replace(order, status=Status.PENDING, cancel_reason=None, version=1)


def _require(order: Order | None, customer_id: str | None = None) -> Order:
    return require_visible(order, order.customer_id if order else None, customer_id, what="order")
