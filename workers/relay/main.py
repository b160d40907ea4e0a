"""The relay process: `python -m workers.relay.main`. Any number may run; one is active per database.

One thread per database: a database that is down does not delay the events of others. SIGTERM and SIGINT end it with
code 0 after the batch in flight, and it releases its leases. A thread that dies ends the process with code 1: its
supervisor restarts it, and until then another relay takes over.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.messaging import topology
from common.messaging.publisher import ConfirmedPublisher
from common.messaging.relay import Relay
from common.observability.logs import configure_logging, logger
from common.observability.metrics import serve_metrics
from common.observability.tracing import configure_tracing
from common.resilience.circuit_breaker import Breaker
from common.resilience.threads import run_until
from common.setting_checks import POSTGRES_URL, between, urls_by
from common.settings import DATABASE_WAIT, BrokerSettings, MetricsSettings, ProcessSettings, load, setting
from common.storage.postgresql import make_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

STOP_SECONDS = 20.0  # a batch that waits for a broker without confirms takes about half of it
_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, BrokerSettings, MetricsSettings):
    """The settings of the relay."""

    outbox_database_urls: Mapping[str, str] = setting(
        "OUTBOX_DATABASE_URLS",
        "json",
        check=urls_by("context", POSTGRES_URL),
        meaning="PostgreSQL databases whose outboxes it publishes: a JSON object, context -> URL.",
    )
    database_timeout_seconds: float = setting(
        "DATABASE_TIMEOUT_SECONDS", "float", default=2.0, check=between(0.1, 60), meaning=DATABASE_WAIT
    )


def main() -> int:
    """Relay until a signal arrives (returns 0) or a thread dies (returns 1)."""
    settings = load(Settings)
    configure_logging("relay", settings.log_level)
    configure_tracing("relay", settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve_metrics(settings.metrics_host, settings.metrics_port)
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    # Not CIRCUIT_BREAKER_MAX_FAILURES: the events wait in their outboxes either way, and the threads share one broker;
    # after the first failure one of them probes for all.
    broker = Breaker("broker", max_failures=1)
    threads = [
        threading.Thread(
            target=_relay(context, url, holder, settings, broker).run, args=(stop,), name=context, daemon=True
        )
        for context, url in settings.outbox_database_urls.items()
    ]
    _log.info("relaying", databases=list(settings.outbox_database_urls), holder=holder)
    return run_until(stop, threads, stop_seconds=STOP_SECONDS)


def _relay(context: str, url: str, holder: str, settings: Settings, broker: Breaker) -> Relay:
    # The thread's statements are sequential: one connection is enough.
    engine = make_engine(url, pool_size=1, timeout_seconds=settings.database_timeout_seconds, name=f"relay {context}")
    publisher = ConfirmedPublisher(settings.rabbitmq_url, topology.EVENTS.name, name=f"relay {context}")
    return Relay(context, engine, publisher, holder, broker=broker)


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare

        prepare(__file__, Settings)
    sys.exit(main())
