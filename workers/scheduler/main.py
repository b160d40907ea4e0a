"""The scheduler: `python -m workers.scheduler.main`; run as many as you like, each sweep runs in one of them at a time.

It runs every context's sweeps, each on its own context's database. What it looks at across contexts is the kit's: how
far the outboxes lag, what waits in the queues. SIGTERM and SIGINT end it with code 0 after the piece of work in hand,
with the leases given back; a sweep's thread that dies ends it with code 1: whoever supervises it starts it again.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.observability.logs import configure_logging, logger
from common.observability.metrics import serve_metrics
from common.observability.tracing import configure_tracing
from common.resilience.circuit_breaker import Breaker
from common.resilience.saga_health import QueueReader, Watch
from common.resilience.sweeps import Sweeper, run_all
from common.setting_checks import POSTGRES_URL, between, urls_by
from common.settings import DATABASE_WAIT, BrokerSettings, MetricsSettings, ProcessSettings, load, setting
from common.storage.postgresql import make_engine
from services.payments.provider import ProviderSettings, make_provider
from services.payments.resources import Resources as PaymentsResources
from workers.inventory import sweeps as inventory
from workers.orders import sweeps as orders
from workers.payments import sweeps as payments
from workers.users import sweeps as users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Engine

# One line for each context that sweeps.
SWEEPS: Mapping[str, tuple[Any, ...]] = {
    "users": users.SWEEPS,
    "inventory": inventory.SWEEPS,
    "orders": orders.SWEEPS,
    "payments": payments.SWEEPS,
}
CONSUMERS = ("inventory", "orders", "payments")
PROBE_SECONDS = 5.0
_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, BrokerSettings, MetricsSettings, ProviderSettings):
    """What the scheduler reads."""

    database_urls: Mapping[str, str] = setting(
        "DATABASE_URLS",
        "json",
        check=urls_by("context", POSTGRES_URL, names=SWEEPS),
        meaning="PostgreSQL database of each context that sweeps, each as its own role: a JSON object, context -> URL.",
    )
    database_timeout_seconds: float = setting(
        "DATABASE_TIMEOUT_SECONDS", "float", default=2.0, check=between(0.1, 60), meaning=DATABASE_WAIT
    )
    order_timeout_seconds: float = setting(
        "ORDER_TIMEOUT_SECONDS",
        "float",
        default=300.0,
        check=between(1, 86_400),
        meaning="Age at which an open order is cancelled, in seconds, without the time in which an outage held it up.",
    )


def main() -> int:
    """Sweep until a signal comes (0) or a thread dies (1)."""
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
    """Every sweep of every context, with what it works on."""
    engines = {context: _engine(context, settings) for context in SWEEPS}
    # Not CIRCUIT_BREAKER_MAX_FAILURES: a sweep that is not run has its turn again soon, and the sweeps of one database
    # share it; after the first failure one of them tries for all.
    breakers = {context: Breaker(f"postgres_{context}", max_failures=1) for context in SWEEPS}
    provider = make_provider(settings)
    resources: dict[str, Any] = {
        "users": engines["users"],
        "inventory": engines["inventory"],
        "orders": orders.Resources(engines["orders"], settings.order_timeout_seconds),
        "payments": PaymentsResources(engines["payments"], provider),
    }
    queues = QueueReader(settings.rabbitmq_url, name="scheduler")
    probe = now_and_then(provider.probe, PROBE_SECONDS)
    watch = Watch(engines, queues, CONSUMERS, {"the payment provider": probe})
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


def now_and_then(probe: Callable[[], object], seconds: float) -> Callable[[], None]:
    """The probe, not asked again for a while once it has answered: the provider counts our requests."""
    answered_at: float | None = None

    def ask() -> None:
        nonlocal answered_at
        if answered_at is None or time.monotonic() - answered_at >= seconds:
            answered_at = None
            probe()
            answered_at = time.monotonic()

    return ask


def _engine(context: str, settings: Settings) -> Engine:
    # One connection for each sweep's work, one for their leases, one for the watch.
    return make_engine(
        settings.database_urls[context],
        pool_size=len(SWEEPS[context]) + 2,
        timeout_seconds=settings.database_timeout_seconds,
        name=f"scheduler {context}",
    )


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare

        prepare(__file__, Settings)
    sys.exit(main())
