"""What payments does. Each fact is committed on its own, before anything is asked of the provider: whatever happens
afterwards, here or in another worker, the fact is there to be found. Then the payment is settled.

Giving money back at an operator's wish is in `refunding.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.database import autocommit
from common.errors import NotFound
from services.payments import ledger, models
from services.payments.settlement import finish_refunds, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from common.events import Trail
    from common.inbox import Delivery
    from services.payments.domain import Payment, Terms
    from services.payments.resources import Resources


def order_was_placed(resources: Resources, delivery: Delivery, order_id: str, terms: Terms) -> None:
    _hear(resources, delivery, lambda connection: models.hear_order(connection, order_id, terms))


def stock_was_reserved(resources: Resources, delivery: Delivery, order_id: str) -> None:
    _hear(resources, delivery, lambda connection: models.hear_reserved(connection, order_id))


def order_was_cancelled(resources: Resources, delivery: Delivery, order_id: str) -> None:
    _hear(resources, delivery, lambda connection: models.hear_cancelled(connection, order_id))


def get_payment(engine: Engine, payment_id: str, *, customer_id: str | None) -> Payment:
    """`customer_id` None sees all; a customer sees only what is theirs."""
    with autocommit(engine) as connection:
        return theirs(models.get(connection, payment_id), customer_id)


def list_payments(
    engine: Engine, *, customer_id: str | None, order_id: str | None, before: str | None, limit: int
) -> list[Payment]:
    with autocommit(engine) as connection:
        return models.page(connection, customer_id=customer_id, order_id=order_id, before=before, limit=limit)


def unsettled_orders(engine: Engine, *, idle_seconds: float, limit: int) -> list[str]:
    """Orders whose payment or refund nobody has brought to its end; what a sweep hands to `settle_order`."""
    with autocommit(engine) as connection:
        return ledger.unsettled(connection, idle_seconds=idle_seconds, limit=limit)


def settle_order(resources: Resources, order_id: str, trail: Trail) -> None:
    """Finish what a worker or a request has left open. Safe beside any worker and any request."""
    with autocommit(resources.engine) as connection:
        payment = models.of_order(connection, order_id)
    if payment is not None:
        finish_refunds(resources, settle(resources, payment, trail), trail)


def theirs(payment: Payment | None, customer_id: str | None) -> Payment:
    if (
        payment is None
        or payment.terms is None
        or (customer_id is not None and payment.terms.customer_id != customer_id)
    ):
        raise NotFound("no such payment")
    return payment


def _hear(resources: Resources, delivery: Delivery, fact: Callable[[Connection], Payment]) -> None:
    with autocommit(resources.engine) as connection:
        payment = fact(connection)
    settle(resources, payment, delivery.trail, delivery)
