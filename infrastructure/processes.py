"""The process table: every process of the system, in start order.

Guarantee: tests compare the native stack, compose.yaml and the Kubernetes manifests with this table; a process
that is not in it does not belong to the system. A new service or worker is one more line. A line is one kind of
process, of which several may run (docs/recipes.md, "Run several instances of a worker"). The table holds no secret, no
URL and no path: those belong to what starts the processes.
"""

from dataclasses import dataclass
from enum import IntEnum

from infrastructure.process_variables import (
    ADMISSION,
    BATCHES,
    BREAKER,
    FAILURES,
    KAFKA,
    KEYS,
    MAILING,
    OBSERVED,
    PAYMENT_PROVIDER,
    RATE_LIMITS,
    SHEDDING,
    WEBHOOKS,
)


class Phase(IntEnum):
    """Processes of a phase start together; a phase begins when the previous one is ready."""

    SERVERS = 1
    SCHEMA = 2
    SEED = 3
    PROCESSES = 4
    GATEWAY = 5


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the table.

    `command` is run from the repository root (the first word `python` is the project's interpreter);
    it is empty for a third-party server, which every kind of installation starts in its own way. `environment` names
    all its variables. `port_offset` counts from the stack's first port. `probe` is the HTTP path that returns 200 when
    the process is ready.
    """

    name: str
    phase: Phase
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    context: str = ""
    port_offset: int | None = None
    probe: str = ""

    @property
    def is_job(self) -> bool:
        """Whether it runs once and must end with exit code 0."""
        return self.phase in {Phase.SCHEMA, Phase.SEED}


GATEWAY_PORT_OFFSET = 0
RABBITMQ_MANAGEMENT_PORT_OFFSET = 12
RABBITMQ_DISTRIBUTION_PORT_OFFSET = 13
RABBITMQ_PROMETHEUS_PORT_OFFSET = 18
PORTS_PER_STACK = 50

RELATIONAL_CONTEXTS = ("users", "inventory", "orders", "payments")
DOCUMENT_CONTEXTS = ("archive", "operations", "notifications")
# It has a worker and no service, and its own MongoDB database.
MAIL = "mail"
MAIL_CATCHER_SMTP_PORT_OFFSET = 41


def _store(context: str) -> str:
    return "MONGODB_URL" if context in (*DOCUMENT_CONTEXTS, MAIL) else "DATABASE_URL"


def _server(name: str, port_offset: int) -> Process:
    return Process(name, Phase.SERVERS, port_offset=port_offset)


def _fake_server(name: str, port_offset: int, *also: str) -> Process:
    """Our own server that replaces an external one in a trial."""
    return Process(
        name=name,
        phase=Phase.PROCESSES,
        command=("python", "-m", f"infrastructure.{name.replace('-', '_')}.main"),
        environment=("SERVICE_PORT", *also, "LOG_LEVEL"),
        port_offset=port_offset,
        probe="/livez",
    )


def _service(context: str, port_offset: int, *also: str) -> Process:
    return Process(
        name=f"service-{context}",
        phase=Phase.PROCESSES,
        command=(
            "python", "-m", "gunicorn", "-c", "python:common.web.gunicorn", f"services.{context}.main:create_app()",
        ),
        environment=(
            "SERVICE_PORT", *ADMISSION, _store(context), *RATE_LIMITS, "TRUSTED_PROXIES", *OBSERVED, *also,
        ),
        context=context,
        port_offset=port_offset,
        probe="/readyz",
    )  # fmt: skip


def _worker(context: str, port_offset: int, *also: str) -> Process:
    return Process(
        name=f"worker-{context}",
        phase=Phase.PROCESSES,
        command=("python", "-m", f"workers.{context}.main"),
        environment=("RABBITMQ_URL", _store(context), "METRICS_PORT", "WORKER_THREADS", *FAILURES, *OBSERVED, *also),
        context=context,
        port_offset=port_offset,
        probe="/metrics",
    )


def _relay(number: int, port_offset: int) -> Process:
    return Process(
        name=f"relay-{number}",
        phase=Phase.PROCESSES,
        command=("python", "-m", "workers.relay.main"),
        environment=("RABBITMQ_URL", "OUTBOX_DATABASE_URLS", "METRICS_PORT", *OBSERVED),
        port_offset=port_offset,
        probe="/metrics",
    )


def _migration(context: str) -> Process:
    return Process(
        name=f"migrate-{context}",
        phase=Phase.SCHEMA,
        command=("python", "-m", "infrastructure.provision.migrate", context),
        environment=("DATABASE_URL",),
        context=context,
    )


def _indexes(context: str) -> Process:
    return Process(
        name=f"{context}-indexes",
        phase=Phase.SCHEMA,
        command=("python", "-m", f"services.{context}.migrations"),
        environment=("MONGODB_URL",),
        context=context,
    )


PROCESSES: tuple[Process, ...] = (
    _server("postgres", 10),
    _server("epmd", 14),
    _server("rabbitmq", 11),
    _server("mongodb", 15),
    *(_migration(context) for context in RELATIONAL_CONTEXTS),
    *(_indexes(context) for context in DOCUMENT_CONTEXTS),
    Process(
        name="topology",
        phase=Phase.SCHEMA,
        command=("python", "-m", "workers.topology.main"),
        environment=("RABBITMQ_URL",),
    ),
    Process(
        name="seed",
        phase=Phase.SEED,
        command=("python", "-m", "services.users.seed"),
        environment=("DATABASE_URL", "SEED_OPERATOR_PASSWORD", "SEED_CUSTOMER_PASSWORD"),
        context="users",
    ),
    _fake_server("sandbox", 16, "SANDBOX_DATA"),
    _fake_server("mail-catcher", 40, "SMTP_PORT"),
    _service("users", 1, "TOKEN_SIGNING_KEY", "TOKEN_PUBLIC_KEYS", "CONTACT_TOKENS"),
    _service("inventory", 2, *KEYS),
    _service("orders", 3, *KEYS, *SHEDDING),
    _service("payments", 4, *KEYS, *PAYMENT_PROVIDER),
    _service("archive", 5, *KEYS, BREAKER),
    _service("operations", 6, *KEYS, BREAKER, "METRICS_URLS", "RABBITMQ_MANAGEMENT_URL", "TRACE_URL_TEMPLATE"),
    _service("notifications", 7, *KEYS, *WEBHOOKS),
    Process(
        name="service-live",
        phase=Phase.PROCESSES,
        command=("python", "-m", "services.live.main"),
        environment=("SERVICE_PORT", "MONGODB_URL", *OBSERVED, "LIVE_STREAMS", "LIVE_STREAMS_PER_CALLER", *KEYS),
        context="live",
        port_offset=8,
        probe="/readyz",
    ),
    _worker("inventory", 22, BATCHES),
    _worker("orders", 23, BATCHES),
    _worker("payments", 24, BATCHES, *PAYMENT_PROVIDER),
    _worker("archive", 25, BATCHES),
    _worker("operations", 26),
    _worker("notifications", 27, BATCHES, *WEBHOOKS),
    _worker(MAIL, 28, BATCHES, *MAILING),
    _relay(1, 30),
    _relay(2, 31),
    Process(
        name="scheduler",
        phase=Phase.PROCESSES,
        command=("python", "-m", "workers.scheduler.main"),
        environment=("RABBITMQ_URL", "DATABASE_URLS", "ORDER_TIMEOUT_SECONDS", "METRICS_PORT", *OBSERVED),
        port_offset=32,
        probe="/metrics",
    ),
    Process(
        name="bridge",
        phase=Phase.PROCESSES,
        command=("python", "-m", "workers.bridge.main"),
        environment=("MONGODB_URL", *KAFKA, "METRICS_PORT", "LOG_LEVEL"),
        context="bridge",
        port_offset=39,
        probe="/metrics",
    ),
    Process(
        name="flower",
        phase=Phase.GATEWAY,
        command=("python", "-m", "infrastructure.flower.main"),
        environment=("SERVICE_PORT", "RABBITMQ_URL", "RABBITMQ_MANAGEMENT_URL", "FLOWER_BASIC_AUTH", "LOG_LEVEL"),
        port_offset=17,
        probe="/healthcheck",
    ),
    Process("gateway", Phase.GATEWAY, port_offset=GATEWAY_PORT_OFFSET, probe="/readyz"),
)


def process(name: str) -> Process:
    """Return the line with that name; LookupError lists the names."""
    for line in PROCESSES:
        if line.name == name:
            return line
    raise LookupError(f"no process is called {name!r}; there are {', '.join(line.name for line in PROCESSES)}")


def port_of(name: str, port_base: int) -> int:
    """Return the port on which the named process of the stack at `port_base` listens."""
    offset = process(name).port_offset
    if offset is None:
        raise LookupError(f"{name} listens on no port")
    return port_base + offset
