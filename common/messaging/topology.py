"""The exchanges and queues of the broker; callers pass in the bindings.

    holdfast.events (topic) --type--> <context>.events            each event, to every context with a handler
    holdfast.retry.<delay> (topic) --#--> holdfast.retry.<delay>  delay queue: returns by its key after the delay
    holdfast.retry.probe (fanout) --> nothing                     probes whether messages can be parked
    holdfast.dead (topic) --#--> operations.dead-letters          dead letters, keyed by their queue

All queues are quorum queues. A consumer's queue dead-letters to `holdfast.dead` what code cannot catch, at least once,
which needs `reject-publish` (https://www.rabbitmq.com/docs/quorum-queues#dead-lettering).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING, Any

import structlog
from amqp.exceptions import AccessRefused, InternalError, NotAllowed, NotFound
from kombu import Connection, Exchange, Queue
from kombu import binding as bind
from tenacity import RetryCallState, retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from common.messaging import new_queues

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVENTS = Exchange("holdfast.events", type="topic", durable=True)
DEAD = Exchange("holdfast.dead", type="topic", durable=True)
# No queue is bound to it: a returned message shows that the broker accepts messages.
PROBE = Exchange("holdfast.retry.probe", type="fanout", durable=True)
DEAD_LETTERS = "operations.dead-letters"
# The backoff of an event's retries.
RETRY_DELAYS_SECONDS = (1, 5, 30, 120, 600)
# A killed worker adds one delivery to every message that it held, including healthy ones.
DELIVERY_LIMIT = 20
EVERYTHING = "#"
# A wrong password; a virtual host that is missing or not accessible.
REFUSALS = (AccessRefused, NotAllowed)
# A broker stores which log belongs to a new quorum queue half a second later (`auto_save` of the Raft library's
# directory). If all nodes are killed before that, the queue starts without a leader and without its messages.
SETTLE_SECONDS = 1.0
_log = structlog.get_logger(__name__)
_EVENTS_QUEUE = re.compile(r"[a-z][a-z0-9_-]{0,62}[.]events")
# No delivery limit: a dead letter must not be dropped. From 4.0 on RabbitMQ has a limit of 20 unless set
# otherwise (https://www.rabbitmq.com/docs/quorum-queues#position-in-queue); before, it does not know the value -1.
_UNLIMITED_SINCE = 4


def events_queue(context: str) -> str:
    """The name of the one queue of a consuming context; also its key on the delay queues and at `holdfast.dead`."""
    return f"{context}.events"


def delay_exchange(seconds: int) -> Exchange:
    """The exchange of a delay queue: a message published directly to that queue would expire back into it."""
    return Exchange(f"holdfast.retry.{seconds}s", type="topic", durable=True)


def retry_delay(attempt: int) -> int:
    """The delay in seconds before the retry after failed attempt number `attempt` (from 1)."""
    return RETRY_DELAYS_SECONDS[min(attempt, len(RETRY_DELAYS_SECONDS)) - 1]


def undecided_delay(waited_seconds: int) -> int:
    """The next delay in seconds of an undecided item that has waited for `waited_seconds`: about as long again.

    Never the shortest delay: parked events there count as an outage, which stops the time-out clock of orders.
    """
    return max(delay for delay in RETRY_DELAYS_SECONDS if delay <= max(waited_seconds, RETRY_DELAYS_SECONDS[1]))


def consumer_queue(context: str) -> Queue:
    """The queue as its worker sees it: declared by the topology job, never by the worker."""
    return Queue(events_queue(context), durable=True, no_declare=True, queue_arguments=_consumer_arguments(context))


def is_events_queue(name: str) -> bool:
    """Whether a queue of that name belongs to a consuming context: dead letters are replayed only to these."""
    return _EVENTS_QUEUE.fullmatch(name) is not None


def dead_letters_queue() -> Queue:
    """`operations.dead-letters` as its worker sees it."""
    return Queue(DEAD_LETTERS, durable=True, no_declare=True, queue_arguments={"x-queue-type": "quorum"})


@dataclass(frozen=True, slots=True)
class QueueCount:
    """The number of ready messages of a queue, and of its consumers."""

    messages: int
    consumers: int


def count(connection: Connection, queue: str) -> QueueCount:
    """Read it from the broker by a passive declaration. Raises amqp's `NotFound` if there is no such queue."""
    channel: Any = connection.default_channel
    found = channel.queue_declare(queue, passive=True)
    return QueueCount(found.message_count, found.consumer_count)


def missing(broker_url: str, queues: Iterable[str], *, timeout_seconds: float) -> list[str]:
    """The queues that are not declared. Raises the errors of `REFUSALS` if the broker refuses the login."""
    found = []
    bounds = {"read_timeout": timeout_seconds, "write_timeout": timeout_seconds}
    with Connection(broker_url, connect_timeout=timeout_seconds, transport_options=bounds) as connection:
        connection.connect()  # once; by default kombu would retry for ever
        for queue in queues:
            try:
                count(connection, queue)
            except NotFound:
                found.append(queue)
    return found


def _log_refusal(state: RetryCallState) -> None:
    _log.warning("the broker refused a declaration: retrying", error=repr(state.outcome and state.outcome.exception()))


# A busy broker refuses a new quorum queue whose log did not start in time (541, cluster_not_formed).
@retry(
    retry=retry_if_exception_type(InternalError),
    stop=stop_after_attempt(5),
    wait=wait_fixed(1),
    before_sleep=_log_refusal,
    reraise=True,
)
def declare(
    broker_url: str, bindings: Mapping[str, Iterable[str]], *, timeout_seconds: float = 30, settle_seconds: float = 0
) -> list[str]:
    """Declare everything, for `bindings` = {context: event types}; returns the names of the queues. Idempotent.

    No message is routed to a new queue for `settle_seconds`: pass `SETTLE_SECONDS` wherever messages must not be lost.
    A declaration that was interrupted, or refused by a busy broker, is repeated. Raises kombu's and amqp's errors;
    also for a broker that accepts the connection and then hangs.
    """
    bounds = {"read_timeout": timeout_seconds, "write_timeout": timeout_seconds}
    with Connection(broker_url, connect_timeout=timeout_seconds, transport_options=bounds) as connection:
        connection.connect()
        channel = connection.default_channel
        queues = [_dead_letters(_major_version(connection)), *map(_delay_queue, RETRY_DELAYS_SECONDS)]
        queues += [_bound(context, types) for context, types in bindings.items()]
        for exchange in (EVENTS, PROBE):
            exchange(channel).declare()
        with new_queues.one_at_a_time(connection, wait_seconds=timeout_seconds):
            new = new_queues.declare(connection, queues)
            sleep(settle_seconds if new else 0)
            new_queues.finish(connection, new)
            for queue in queues:
                queue(channel).declare()
        return [queue.name for queue in queues]


def _bound(context: str, types: Iterable[str]) -> Queue:
    return Queue(
        events_queue(context),
        durable=True,
        bindings=[bind(EVENTS, routing_key=event_type) for event_type in sorted(set(types))],
        queue_arguments=_consumer_arguments(context),
    )


def _major_version(connection: Connection) -> int:
    underlying: Any = connection.connection
    return int(underlying.server_properties["version"].split(".")[0])


def _dead_letters(broker_version: int) -> Queue:
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if broker_version >= _UNLIMITED_SINCE:
        arguments["x-delivery-limit"] = -1
    return Queue(DEAD_LETTERS, DEAD, routing_key=EVERYTHING, durable=True, queue_arguments=arguments)


def _delay_queue(seconds: int) -> Queue:
    exchange = delay_exchange(seconds)
    arguments = _quorum("")  # the default exchange routes by the message's original key: the consumer's queue
    arguments |= {"x-message-ttl": seconds * 1000}
    return Queue(exchange.name, exchange, routing_key=EVERYTHING, durable=True, queue_arguments=arguments)


def _consumer_arguments(context: str) -> dict[str, Any]:
    return _quorum(DEAD.name) | {
        "x-dead-letter-routing-key": events_queue(context),
        "x-delivery-limit": DELIVERY_LIMIT,
    }


def _quorum(dead_letter_exchange: str) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": dead_letter_exchange,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
