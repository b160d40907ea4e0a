"""Handles several events of payments at once.

Their facts are committed by one transaction. Then the payments' intents are created concurrently at the provider,
attached by one statement, and confirmed concurrently; the provider's responses are committed by one transaction. Each
step is the one of `usecases.py` and `settlement.py`, so a payment is settled in the same way after a crash at any
point. Exceptional events (a refusal, a cancellation, an outage) are handled alone.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from common.messaging import outbox
from common.messaging.event_spans import delivering
from common.messaging.inbox import AlreadyHandled, Batch, Delivery, once
from common.observability import tracing
from common.observability.logs import logger
from common.resilience.crash_points import crash_point
from common.storage.postgresql import autocommit, transaction
from services.payments import domain, facts, models
from services.payments.domain import IntentState, Step
from services.payments.outcomes import write_intent
from services.payments.settlement import begin_charge, finish_charge, may_confirm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from common.messaging.events import MessageContext
    from services.payments.domain import Intent, Payment
    from services.payments.facts import Fact
    from services.payments.resources import Resources

CHARGES_AT_ONCE = 16  # each in a thread of its own
MAX_EVENTS = 3 * CHARGES_AT_ONCE  # of an order's three events one leads to a charge
_log = logger(__name__)


@dataclass(slots=True)
class _Order:
    """The payment of one order and its deliveries, by their index in the batch."""

    payment: Payment
    deliveries: Mapping[int, Delivery]
    intent: Intent | None = None  # while it is charged

    @property
    def step(self) -> Step:
        return domain.next_step(self.payment)

    @property
    def event_ids(self) -> list[str]:
        return [delivery.event.id for delivery in self.deliveries.values()]

    @property
    def message_context(self) -> MessageContext:
        """The context of the order's last event in the batch, which completed the facts."""
        return self.deliveries[max(self.deliveries)].message_context


class PaymentBatches:
    """Handles at most `MAX_EVENTS` at once. `read` reads an event's fact; None: the event is handled alone."""

    def __init__(self, resources: Resources, read: Callable[[Delivery], Fact | None]) -> None:
        self._engine, self._provider, self._read = resources.engine, resources.provider, read
        self._threads = ThreadPoolExecutor(CHARGES_AT_ONCE, thread_name_prefix="charge")

    def handle(self, deliveries: Sequence[Delivery]) -> list[bool | None]:
        """Which took effect now; None for those to be handled alone. If it raises, no fact is committed."""
        fact_of: dict[str, Fact] = {}
        deliveries_of: defaultdict[str, dict[int, Delivery]] = defaultdict(dict)
        with ExitStack() as spans:
            for index, delivery in enumerate(deliveries):
                if fact := self._read(delivery):
                    span = spans.enter_context(delivering(delivery.consumer, delivery.event))
                    deliveries_of[fact.order_id][index] = replace(delivery, traceparent=span.traceparent)
                    fact_of[fact.order_id] = fact_of[fact.order_id] | fact if fact.order_id in fact_of else fact
            orders, outcomes = self._record(fact_of, deliveries_of) if fact_of else ([], {})
        outcomes |= self._charge([order for order in orders if order.step is Step.CHARGE])
        return [outcomes.get(index) for index in range(len(deliveries))]

    def _record(
        self, fact_of: Mapping[str, Fact], deliveries_of: Mapping[str, Mapping[int, Delivery]]
    ) -> tuple[list[_Order], dict[int, bool]]:
        """Commit the facts, and the inbox rows of events that require no further step; returns their outcomes."""
        with transaction(self._engine) as connection:
            payments = facts.record(connection, list(fact_of.values()))
            orders = [_Order(payments[order_id], deliveries_of[order_id]) for order_id in sorted(fact_of)]
            outcomes = _mark_handled(connection, [order for order in orders if order.step is Step.NOTHING])
            crash_point("batch.committing")
        return orders, outcomes

    def _charge(self, due: Sequence[_Order]) -> dict[int, bool]:
        """Charge the payments, and commit those that are captured; returns the outcomes of their events.

        The events of the others have had no effect yet.
        """
        if not due:
            return {}
        try:
            self._concurrently(self._begin, due)
            self._attach([order for order in due if order.intent])
            self._concurrently(self._finish, [order for order in due if order.intent])
            crash_point("batch.charged")
            return self._record_captured([order for order in due if order.intent])
        except Exception as error:  # noqa: BLE001 - alone, each payment is settled from the provider's state
            order_ids = [order.payment.order_id for order in due]
            _log.warning("charges not recorded", order_ids=order_ids, error=repr(error))
            return {}

    def _concurrently(self, step: Callable[[_Order], Intent | None], orders: Sequence[_Order]) -> None:
        """Set each order's intent to what `step` returns: None if it fails."""

        def take(order: _Order) -> None:
            try:
                with tracing.entry("charge", "internal", order.message_context.traceparent, {}):
                    order.intent = step(order)
            except Exception as error:  # noqa: BLE001 - alone, the event meets it again, and is retried or parked
                order.intent = None
                _log.info(
                    "payment not charged",
                    event_ids=order.event_ids,
                    order_id=order.payment.order_id,
                    error=repr(error),
                )

        list(self._threads.map(take, orders))

    def _begin(self, order: _Order) -> Intent:
        crash_point("batch.charging")
        return begin_charge(self._provider, order.payment)

    def _finish(self, order: _Order) -> Intent | None:
        return finish_charge(self._provider, order.intent) if order.intent else None

    def _attach(self, orders: Sequence[_Order]) -> None:
        """Commit the ids of new intents; drops those that were superseded, which are never confirmed."""
        new = {
            order.payment.id: order.intent.id
            for order in orders
            if order.intent and order.intent.id and order.payment.provider_id is None
        }
        if not new:
            return
        with autocommit(self._engine) as connection:
            attached = models.attach_all(connection, new)
        crash_point("payments.attached")
        for order in orders:
            order.payment = attached.get(order.payment.id, order.payment)
            if order.intent and not may_confirm(order.payment, order.intent):
                order.intent = None

    def _record_captured(self, orders: Iterable[_Order]) -> dict[int, bool]:
        """Commit the captured payments, with the inbox rows; returns the events' outcomes."""
        captured = [order for order in orders if order.intent and order.intent.state is IntentState.SUCCEEDED]
        if not captured:
            return {}
        with transaction(self._engine) as connection:
            outcomes = _mark_handled(connection, captured)
            payment_ids = [order.payment.id for order in captured]
            with models.together(connection, payment_ids), outbox.in_one_statement(connection):
                unsettled = [order for order in captured if not _write(connection, order)]
            crash_point("batch.committing")
        # An order that was cancelled during its charge is refunded when its event is handled alone.
        unhandled = {index for order in unsettled for index in order.deliveries}
        return {index: is_new for index, is_new in outcomes.items() if index not in unhandled}


def _write(connection: Connection, order: _Order) -> bool:
    """Write the payment's intent; returns whether no further step is due."""
    if order.intent is None:
        return False
    locked = models.lock(connection, order.payment.id)
    after = write_intent(connection, locked, order.intent, order.message_context)
    _log.info(
        "payment settling",
        step=Step.CHARGE,
        event_ids=order.event_ids,
        order_id=after.order_id,
        status=after.status,
    )
    return domain.next_step(after) is Step.NOTHING


def _mark_handled(connection: Connection, orders: Iterable[_Order]) -> dict[int, bool]:
    """Insert the inbox rows of the orders' events; returns which are new, by index."""
    deliveries = {index: delivery for order in orders for index, delivery in order.deliveries.items()}
    if not deliveries:
        return {}
    batch = Batch(connection, list(deliveries.values()))
    return {index: _join(batch, delivery) for index, delivery in deliveries.items()}


def _join(batch: Batch, delivery: Delivery) -> bool:
    try:
        with once(batch, delivery):
            return True
    except AlreadyHandled:
        return False
