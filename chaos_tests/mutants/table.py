"""The mutants: the removed guarantee, its patch, the processes, and the scenario that must detect it."""

from __future__ import annotations

from chaos_tests.mutants.batches import BATCH_MUTANTS
from chaos_tests.mutants.broker_faults import broker_swallows, broker_without_bindings, cut_in_a_batch
from chaos_tests.mutants.mutant import Mutant, Patch
from chaos_tests.mutants.parking import charge_undecided, outage_without_delay_queues
from chaos_tests.mutants.refused_refunds import refunds_refused
from chaos_tests.mutants.scenarios import (
    RELAYS,
    answers_lost_after_charging,
    cancelled_in_flight,
    document_store_killed,
    every_event_twice,
    killed_at,
    last_items,
    provider_stopped,
    same_key_again,
    undecodable,
)
from chaos_tests.mutants.webhook_delivery import DELIVERED_BEFORE_THE_ANSWER

# The patches affect the path of single events.
_ALONE = (("EVENT_BATCH_SIZE", "1"),)
_SECOND_STATEMENT = """crash_point("orders.placed")
                from sqlalchemy import text as _text
                connection.execute(_text("INSERT INTO outbox (event_id, type, correlation_id, body) VALUES "
                                         "(CAST(:event_id AS uuid), :type, :correlation_id, :body)"), row)"""
_EVENT_WITH_THE_ORDER = """INSERT INTO outbox (event_id, type, correlation_id, body)
    SELECT CAST(:event_id AS uuid), :type, :correlation_id, :body FROM placed
    RETURNING position"""

MUTANTS = (
    Mutant(
        "no-inbox",
        "the inbox, and the guard by state behind it",
        every_event_twice,
        ("worker-inventory",),
        (
            Patch(
                "common.messaging.inbox",
                "if connection.execute(_INSERT, values).rowcount == 0:",
                "if connection.execute(_INSERT, values).rowcount < 0:",
            ),
            Patch(
                "services.inventory.domain",
                "return Status.SOLD if status is Status.HELD else None",
                "return Status.SOLD",
            ),
        ),
        _ALONE,
    ),
    Mutant(
        "ack-before-effect",
        "late acknowledgement",
        killed_at("consumer.received:5", "worker-archive"),
        ("worker-archive",),
        (
            Patch(
                "common.messaging.celery_worker",
                "bind=True, acks_late=True, reject",
                "bind=True, acks_late=False, reject",
            ),
            # Celery acknowledges in another thread: as in most systems, the work takes longer than that.
            Patch(
                "common.messaging.consumer",
                'crash_point("consumer.received")',
                'time.sleep(0.2)\n        crash_point("consumer.received")',
            ),
        ),
        _ALONE,
    ),
    Mutant(
        "outbox-second-transaction",
        "one transaction for an order and its event",
        killed_at("orders.placed:3", "service-orders"),
        ("service-orders",),
        (
            Patch("services.orders.models", _EVENT_WITH_THE_ORDER, "SELECT id FROM placed"),
            Patch("services.orders.usecases", 'crash_point("orders.placed")', _SECOND_STATEMENT),
        ),
    ),
    Mutant(
        "delete-before-confirm",
        "deleting an outbox row only after the broker's confirm",
        killed_at("relay.fetched:5", *RELAYS),
        RELAYS,
        (
            Patch(
                "common.messaging.relay",
                'crash_point("relay.fetched")',
                'self._rows.delete([row.position for row in rows])\n        crash_point("relay.fetched")',
            ),
        ),
    ),
    Mutant(
        "unconfirmed-passed-by",
        "publishing first what a broken connection left unconfirmed",
        cut_in_a_batch,
        RELAYS,
        (
            Patch("common.messaging.relay", "if row.event_id in returned])", "if row.event_id not in confirmed])"),
            Patch(
                "common.messaging.relay",
                "if time.monotonic() < self._retry_at:",
                "if self._retry_at is not None:",
            ),
        ),
    ),
    Mutant(
        "no-confirms",
        "waiting for the broker's confirms",
        broker_swallows,
        RELAYS,
        (
            Patch(
                "common.messaging.publisher",
                "self._run(lambda: batch.done or not self._is_ready, timeout_seconds)",
                "self._run(lambda: False, 0.01)\n        return {message.id for message in messages}",
            ),
        ),
    ),
    Mutant(
        "no-mandatory",
        "`mandatory`: the broker confirms what no queue takes",
        broker_without_bindings,
        RELAYS,
        (
            Patch(
                "common.messaging.publisher",
                "self._exchange, message.routing_key, message.body, _properties(message), mandatory=True",
                "self._exchange, message.routing_key, message.body, _properties(message), mandatory=False",
            ),
        ),
    ),
    Mutant(
        "charge-again",
        "reading the intent before charging again, and the idempotency key",
        answers_lost_after_charging,
        ("worker-payments",),
        (
            Patch(
                "services.payments.settlement",
                "return provider.retrieve(payment.provider_id)",
                "return provider.create(payment, payment.terms)",
            ),
            Patch("services.payments.provider", '"create", payment.id,', '"create", new_id(),'),
        ),
    ),
    Mutant(
        "no-compensation",
        "the refund of a charge that comes after the cancellation",
        cancelled_in_flight,
        ("worker-payments",),
        (
            Patch(
                "services.payments.domain",
                "return Step.REFUND if payment.cancel_requested and not payment.refund_waits else Step.NOTHING",
                "return Step.NOTHING",
            ),
        ),
    ),
    Mutant(
        "refund-given-up",
        "keeping a refused refund open until an operator decides",
        refunds_refused,
        ("service-payments", "worker-payments"),
        (
            Patch("services.payments.refunds", "is_open = was_open or tries >= REFUND_TRIES", "is_open = False"),
            Patch(
                "services.payments.refunds",
                "return None if refusal.is_open else first_seconds",
                "return 1e9 if refusal.tries >= REFUND_TRIES else first_seconds",
            ),
        ),
    ),
    Mutant(
        "write-concern-one",
        "the journal of a majority in MongoDB's write concern",
        document_store_killed,
        ("worker-archive",),
        (Patch("common.storage.mongodb", 'WriteConcern(w="majority", j=True)', "WriteConcern(w=1, j=False)"),),
    ),
    Mutant(
        "outage-is-an-error",
        "parking events during an outage",
        provider_stopped,
        ("worker-payments",),
        (Patch("common.messaging.failures", "if kind is Unavailable:", "if kind is None:"),),
        (("RETRY_ATTEMPTS", "1"),),
    ),
    Mutant(
        "undecided-pauses",
        "parking only the event that the provider has not decided",
        charge_undecided,
        ("worker-payments",),
        (Patch("common.messaging.failures", "if kind is Unavailable:", "if kind in {Unavailable, Undecided}:"),),
    ),
    Mutant(
        "parks-before-it-pauses",
        "pausing first, and holding what cannot be parked",
        outage_without_delay_queues,
        ("worker-payments",),
        (
            Patch("common.messaging.failures", "self._pause.begin(repr(error))", "pass"),
            Patch("common.messaging.failures", "self._pause.hold(publish)", "publish()"),
            Patch(
                "common.messaging.failures",
                'span.note("parked", ',
                'self._pause.begin("late")\n        span.note("parked", ',
            ),
        ),
    ),
    Mutant(
        "oversold",
        "the check of the available stock",
        last_items,
        ("worker-inventory",),
        (
            Patch(
                "services.inventory.domain",
                "if line.quantity > available[line.sku] and refusal is None:",
                "if line.quantity > 1_000_000_000:",
            ),
        ),
    ),
    Mutant(
        "no-idempotency-key",
        "the customer's Idempotency-Key",
        same_key_again,
        ("service-orders",),
        (Patch("services.orders.models", '        "key": key,', '        "key": order.id,'),),
    ),
    Mutant(
        "undecodable-is-acknowledged",
        "rejecting what cannot be decoded (Celery's default acknowledges it)",
        undecodable,
        ("worker-orders",),
        (Patch("common.messaging.event_consumer", "message.reject_log_error(", "message.ack_log_error("),),
    ),
    *BATCH_MUTANTS,
    DELIVERED_BEFORE_THE_ANSWER,
)
