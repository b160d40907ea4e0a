"""Payments use cases. Each fact is committed separately, before the provider is called, so that after any crash, here
or in another worker, the fact is stored. Then the payment is settled.

Refunds by operators are in `refunding.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.errors import Contention, Unavailable, Undecided, classify
from common.messaging import outbox
from common.messaging.inbox import once
from common.messaging.message_context import new_trace_context
from common.observability.logs import logger
from common.security.visibility import require_visible
from common.storage.postgresql import autocommit, transaction
from services.payments import facts, ledger, models, producers, refunds
from services.payments.outcomes import open_case
from services.payments.settlement import finish_refunds, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from common.messaging.events import MessageContext
    from common.messaging.inbox import Delivery
    from services.payments.domain import Payment
    from services.payments.facts import Fact
    from services.payments.resources import Resources

_log = logger(__name__)


def add_fact(resources: Resources, delivery: Delivery, fact: Fact) -> None:
    """Record what an event says about an order, then settle its payment."""
    with autocommit(resources.engine) as connection:
        payment = facts.record(connection, [fact])[fact.order_id]
    settle(resources, payment, delivery.message_context, delivery)


def order_was_confirmed(resources: Resources, delivery: Delivery, order_id: str) -> None:
    """Keep the money. Payments records it, so that it asks only about captured payments without a confirmation."""
    with once(resources.engine, delivery) as connection:
        facts.record(connection, [facts.order_confirmed(order_id)])


def get_payment(engine: Engine, payment_id: str, *, customer_id: str | None) -> Payment:
    """`customer_id` None sees all; a customer sees only their own."""
    with autocommit(engine) as connection:
        payment = require_payment(models.get(connection, payment_id), customer_id)
        return ledger.with_refund_pending(connection, [payment])[0]


def list_payments(
    engine: Engine, *, customer_id: str | None, order_id: str | None, before: str | None, limit: int
) -> list[Payment]:
    with autocommit(engine) as connection:
        found = models.page(connection, customer_id=customer_id, order_id=order_id, before=before, limit=limit)
        return ledger.with_refund_pending(connection, found)


def unsettled_orders(engine: Engine, *, idle_seconds: float, limit: int) -> list[str]:
    """Orders with an unfinished payment or refund, which a sweep passes to `settle_order`."""
    with autocommit(engine) as connection:
        return ledger.unsettled(connection, idle_seconds=idle_seconds, limit=limit)


def settle_unsettled(
    resources: Resources, *, idle_seconds: float, limit: int, should_continue: Callable[[], bool]
) -> int:
    """Settle payments that were unsettled for `idle_seconds`, perhaps with an unknown outcome; returns how many there
    were.

    It reads the provider's state before it repeats an operation. One that cannot be settled goes to the end of the
    queue, with backoff; an outage ends the run.
    """
    orders = unsettled_orders(resources.engine, idle_seconds=idle_seconds, limit=limit)
    for order_id in orders:
        if not should_continue():
            break
        with autocommit(resources.engine) as connection:
            ledger.postpone(connection, order_id)  # before the attempt, which may kill this process
        try:
            with new_trace_context("settle a payment", order_id=order_id) as message_context:
                settle_order(resources, order_id, message_context)
        except Exception as error:
            if classify(error) is Unavailable:
                raise
            _log.warning("payment not settled", order_id=order_id, error=repr(error), exc_info=not _is_open(error))
            _back_off(resources, order_id)
    return len(orders)


def _is_open(error: Exception) -> bool:
    """Not an error: the provider has not decided, or another worker handles it."""
    return issubclass(classify(error), Undecided | Contention)


def _back_off(resources: Resources, order_id: str) -> None:
    """Increase the backoff of the payment. A refund that stays undecided for too long needs manual review."""
    with transaction(resources.engine) as connection:
        ledger.back_off(connection, order_id)
        payment = ledger.undecided(connection, order_id, older_seconds=refunds.UNDECIDED_SECONDS)
        if payment is not None:
            with new_trace_context("report an undecided refund", order_id=order_id) as message_context:
                open_case(connection, payment, message_context)


def settle_order(resources: Resources, order_id: str, message_context: MessageContext) -> None:
    """Finish what a worker or a request has left open. Safe to run concurrently with workers and requests."""
    with autocommit(resources.engine) as connection:
        payment = models.of_order(connection, order_id)
    if payment is not None:
        finish_refunds(resources, settle(resources, payment, message_context), message_context)


def ask_about_overdue(engine: Engine, *, quiet_seconds: float, limit: int) -> int:
    """Ask for the end of orders whose payments are overdue: they lack a fact, or are captured without a confirmation or
    cancellation (two dead letters can cause that).

    Returns how many. Nothing is closed on a guess: orders replies by publishing the order's final event again, if there
    is one.
    """
    with transaction(engine) as connection:
        waiting = models.ask_about_overdue(connection, quiet_seconds=quiet_seconds, limit=limit)
        if waiting:
            with new_trace_context("ask about waiting payments") as message_context:
                outbox.add(connection, *(producers.payment_overdue(payment, message_context) for payment in waiting))
    return len(waiting)


def require_payment(payment: Payment | None, customer_id: str | None = None) -> Payment:
    """A payment whose order is not known yet is not visible."""
    terms = payment.terms if payment else None
    shown, owner_id = (payment, terms.customer_id) if terms else (None, None)
    return require_visible(shown, owner_id, customer_id, what="payment")
