"""The privileges of all accounts: every kind of installation creates its accounts from this description.

Guarantee: an account has only the privileges that its process needs. PostgreSQL and MongoDB: one account per context,
which can connect only to its own database. RabbitMQ: one account per kind of process; a worker consumes its own queue,
and can publish only with its own name as routing key, so it cannot publish to another's queue. Relays of one kind share
an account.
Not promised: RabbitMQ's permissions are only patterns of names. At the delay queues and the dead-letter exchange an
account is limited to its own routing key; the two that must use the default exchange (replays, and the return from
delay queues, which the topology job configures) could publish to any queue through it.
"""

import re
from dataclasses import dataclass, replace

from infrastructure.processes import PROCESSES, Process

NOTHING = "^$"
ANYTHING = ".*"
EVENTS_EXCHANGE = "holdfast.events"
DEAD_EXCHANGE = "holdfast.dead"
MONITOR = "monitor"
DEAD_LETTERS_QUEUE = "operations.dead-letters"
RETRY_EXCHANGES = tuple(f"holdfast.retry.{seconds}s" for seconds in (1, 5, 30, 120, 600))
PROBE_EXCHANGE = "holdfast.retry.probe"
# Workers publish their failed attempts directly; all other events come from an outbox.
ATTEMPT_FAILED = "attempt.failed.v1"
_BUSINESS_EVENTS = r"^(?!attempt\.)[a-z]+\.[a-z_]+\.v[0-9]+$"
# Celery's exchanges and queues for remote control and events, with kombu's and Celery's own names.
_CONTROL, _REPLIES, _WATCHED = "celery.pidbox", "reply.celery.pidbox", "celeryev"
_DEFAULT_EXCHANGE = r"amq\.default"


@dataclass(frozen=True, slots=True)
class TopicRight:
    """The routing keys of an account at a topic exchange, for publishing and binding."""

    exchange: str
    write: str = NOTHING
    read: str = NOTHING


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """One account of RabbitMQ: patterns of the names that it may configure, write to and read from.

    https://www.rabbitmq.com/docs/access-control lists the permissions of each operation. `tag` grants access to a part
    of the management API.
    """

    name: str
    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    topics: tuple[TopicRight, ...] = ()
    tag: str = ""


def broker_account(line: Process) -> str:
    """Return the broker account of a process of the table; LookupError if it has none."""
    name = re.sub(r"-[0-9]+$", "", line.name)
    if name not in {account.name for account in BROKER_ACCOUNTS}:
        raise LookupError(f"{line.name} has no account at the broker")
    return name


def management_account(line: Process) -> str:
    """Processes with their own broker account use it for the management API, all others use the monitor's."""
    return broker_account(line) if "RABBITMQ_URL" in line.environment else MONITOR


def _one_of(*patterns: str) -> str:
    return f"^({'|'.join(patterns)})$"


def _exactly(*names: str) -> str:
    return "|".join(name.replace(".", r"\.") for name in names)


def _topology() -> BrokerAccount:
    ours = rf"holdfast\.(events|dead|topology|retry\.([0-9]+s|probe))|[a-z]+\.events|{_exactly(DEAD_LETTERS_QUEUE)}"
    marks = r"holdfast\.new\..+"
    # It declares and binds. Declaring a queue requires write permission on its dead-letter exchange.
    return BrokerAccount(
        "topology",
        configure=_one_of(ours, marks),
        write=_one_of(ours, _DEFAULT_EXCHANGE),
        read=_one_of(ours),
        topics=tuple(
            TopicRight(exchange, read=ANYTHING) for exchange in (EVENTS_EXCHANGE, DEAD_EXCHANGE, *RETRY_EXCHANGES)
        ),
    )


def _worker(context: str) -> BrokerAccount:
    queue = f"{context}.events"
    exchanges = (EVENTS_EXCHANGE, DEAD_EXCHANGE, *RETRY_EXCHANGES)
    own_key = _one_of(_exactly(queue))
    return BrokerAccount(
        f"worker-{context}",
        configure=_one_of(_own_box(context), _exactly(_CONTROL, _REPLIES, _WATCHED)),
        write=_one_of(_own_box(context), _exactly(_REPLIES, _WATCHED), _exactly(*exchanges, PROBE_EXCHANGE)),
        read=_one_of(_own_box(context), _exactly(_CONTROL), _exactly(queue)),
        topics=(
            TopicRight(EVENTS_EXCHANGE, write=_one_of(_exactly(ATTEMPT_FAILED))),
            *(TopicRight(exchange, write=own_key) for exchange in (DEAD_EXCHANGE, *RETRY_EXCHANGES)),
            _TO_WATCHERS,
        ),
    )


def _notifications_worker(_context: str) -> BrokerAccount:
    """Its queue's bindings follow the subscriptions (`common/messaging/queue_bindings.py`)."""
    account = _worker("notifications")
    lock, queue = r"holdfast\.bindings\.notifications", _exactly("notifications.events")
    events = next(topic for topic in account.topics if topic.exchange == EVENTS_EXCHANGE)
    bindable = replace(events, read=_BUSINESS_EVENTS)
    return replace(
        account,
        configure=_one_of(account.configure[2:-2], lock),
        write=_one_of(account.write[2:-2], queue),
        read=_one_of(account.read[2:-2], _exactly(EVENTS_EXCHANGE)),
        topics=tuple(bindable if topic is events else topic for topic in account.topics),
    )


def _operations_worker(_context: str) -> BrokerAccount:
    box = _own_box("operations")
    return BrokerAccount(
        "worker-operations",
        configure=_one_of(box, _exactly(_CONTROL, _REPLIES, _WATCHED)),
        # A replay goes only to the queue of the dead letter.
        write=_one_of(box, _exactly(_REPLIES, _WATCHED), _DEFAULT_EXCHANGE),
        read=_one_of(box, _exactly(_CONTROL), _exactly(DEAD_LETTERS_QUEUE)),
        topics=(_TO_WATCHERS,),
    )


def _own_box(context: str) -> str:
    """A worker's queue for remote control; it may not write to its exchange."""
    return rf"{context}@[^/]+\.celery\.pidbox"


def _flower() -> BrokerAccount:
    own = r"celeryev\..+"
    # Inspection uses the same exchange as commands, so it only receives events.
    return BrokerAccount(
        "flower",
        configure=_one_of(own, _exactly(_WATCHED)),
        write=_one_of(own),
        read=_one_of(own, _exactly(_WATCHED)),
        topics=(TopicRight(_WATCHED, read=ANYTHING),),
        tag="management",
    )


_TO_WATCHERS = TopicRight(_WATCHED, write=r"^(worker|task)\.[a-z]+$")

# Every other worker only consumes its own queue and retries there.
_OTHER_WORKERS = {"operations": _operations_worker, "notifications": _notifications_worker}
_WORKERS = tuple(line.context for line in PROCESSES if line.name == f"worker-{line.context}")

BROKER_ACCOUNTS: tuple[BrokerAccount, ...] = (
    _topology(),
    *(_OTHER_WORKERS.get(context, _worker)(context) for context in _WORKERS),
    BrokerAccount(
        "relay",
        write=_one_of(_exactly(EVENTS_EXCHANGE)),
        topics=(TopicRight(EVENTS_EXCHANGE, write=_BUSINESS_EVENTS),),
    ),
    # It reads queue lengths, which needs no permission except access.
    BrokerAccount("scheduler"),
    _flower(),
    # For the operations service and monitoring: read-only access to the management API.
    BrokerAccount(MONITOR, tag="monitoring"),
)
