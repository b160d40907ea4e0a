"""The scheduler: `python -m workers.scheduler.main`; any number may run, each sweep runs in one of them at a time.

It runs the sweeps of every context but payments, each on its own context's database; those of payments run in its
worker, which has the payment provider's key. Across contexts it reads only the kit's data: the lag of the outboxes, and
the queues. SIGTERM and SIGINT end it with code 0 after the current item, and it releases its leases; a sweep's thread
that dies ends it with code 1: its supervisor restarts it.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import Gauge

from common.observability.logs import configure_logging, logger
from common.observability.metrics import serve_metrics
from common.observability.tracing import configure_tracing
from common.resilience.circuit_breaker import Breaker
from common.resilience.saga_health import QueueReader, SagaHealth
from common.resilience.sweeps import Sweeper, run_all
from common.setting_checks import POSTGRES_URL, between, urls_by
from common.settings import DATABASE_WAIT, BrokerSettings, MetricsSettings, ProcessSettings, load, setting
from common.storage.postgresql import make_engine
from workers import SAGA_CONSUMERS
from workers.inventory import sweeps as inventory
from workers.orders import sweeps as orders
from workers.users import sweeps as users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

# One line for each context whose sweeps run here.
SWEEPS: Mapping[str, tuple[Any, ...]] = {
    "users": users.SWEEPS,
    "inventory": inventory.SWEEPS,
    "orders": orders.SWEEPS,
}
# Saga events pass the outboxes of these contexts and the queues of SAGA_CONSUMERS.
OUTBOXES = ("users", "inventory", "orders", "payments")
HELD_UP = Gauge("holdfast_held_up", "1 while sagas are held up, and the time-out clock is stopped")
_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, BrokerSettings, MetricsSettings):
    """The settings of the scheduler."""

    database_urls: Mapping[str, str] = setting(
        "DATABASE_URLS",
        "json",
        check=urls_by("context", POSTGRES_URL, names=OUTBOXES),
        meaning="PostgreSQL database of each context, as the scheduler's role there: a JSON object, context -> URL.",
    )
    database_timeout_seconds: float = setting(
        "DATABASE_TIMEOUT_SECONDS", "float", default=2.0, check=between(0.1, 60), meaning=DATABASE_WAIT
    )
    order_timeout_seconds: float = setting(
        "ORDER_TIMEOUT_SECONDS",
        "float",
        default=300.0,
        check=between(1, 86_400),
        meaning="Age at which an open order is cancelled, in seconds, without the duration of outages.",
    )


def main() -> int:
    """Sweep until a signal arrives (returns 0) or a thread dies (returns 1)."""
    settings = load(Settings)
    configure_logging("scheduler", settings.log_level)
    configure_tracing("scheduler", settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve_metrics(settings.metrics_host, settings.metrics_port)
    sweepers = make_sweepers(settings)
    _log.info("sweeping", sweeps=[each.name for each in sweepers])
    return run_all(sweepers, stop)


def make_sweepers(settings: Settings) -> list[Sweeper[Any]]:
    """Every sweep of this process, with its resources."""
    engines = {context: _engine(context, settings) for context in OUTBOXES}
    # Not CIRCUIT_BREAKER_MAX_FAILURES: a skipped sweep is soon due again, and the sweeps of one database
    # share it; after the first failure one of them probes for all.
    breakers = {context: Breaker(f"postgres_{context}", max_failures=1) for context in SWEEPS}
    resources: dict[str, Any] = {
        "users": engines["users"],
        "inventory": engines["inventory"],
        "orders": orders.Resources(engines["orders"], settings.order_timeout_seconds),
    }
    queues = QueueReader(settings.rabbitmq_url, name="scheduler")
    # While the payment provider is down its worker pauses: then its queue has no consumer.
    watch = SagaHealth(engines, queues, SAGA_CONSUMERS, {}, HELD_UP.set)
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return [
        Sweeper(
            context,
            sweep,
            engines[context],
            resources[context],
            holder=holder,
            held_up=watch.reason,
            breaker=breakers[context],
        )
        for context, sweeps in SWEEPS.items()
        for sweep in sweeps
    ]


def _engine(context: str, settings: Settings) -> Engine:
    # One connection for each sweep's work, one for their leases, one for saga health.
    sweeps = SWEEPS.get(context, ())
    return make_engine(
        settings.database_urls[context],
        pool_size=len(sweeps) + 2 if sweeps else 1,
        timeout_seconds=settings.database_timeout_seconds,
        name=f"scheduler {context}",
    )


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare

        prepare(__file__, Settings)
    sys.exit(main())
