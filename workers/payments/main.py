"""The payments worker: `python -m workers.payments.main`.

Its context's sweeps run in the same process, because they call the payment provider, whose key only payments has. Each
sweep runs in one worker at a time.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from common.messaging.batch_handling import Batching
from common.messaging.celery_worker import run_worker
from common.messaging.worker_settings import BatchWorkerSettings
from common.observability.logs import configure_logging
from common.observability.metrics import serve_metrics
from common.resilience.circuit_breaker import Breaker
from common.resilience.saga_health import QueueReader, SagaHealth
from common.resilience.sweeps import Sweeper, run_in_background
from common.settings import load
from common.storage.postgresql import make_engine, ping
from services.payments.batches import MAX_EVENTS, PaymentBatches
from services.payments.resources import Resources, ResourceSettings, open_resources
from workers import SAGA_CONSUMERS
from workers.payments.consumers import HANDLERS, read_fact
from workers.payments.sweeps import SWEEPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.payments.provider import Provider

# One for each sweep's work, one for their leases.
SWEEP_CONNECTIONS = len(SWEEPS) + 1


@dataclass(frozen=True, kw_only=True)
class Settings(BatchWorkerSettings, ResourceSettings):
    """The settings of the payments worker."""


def main() -> None:
    settings = load(Settings)
    configure_logging("worker-payments", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    resources = open_resources(settings, name="worker-payments", pool_size=settings.worker_threads)
    probes: dict[str, Callable[[], object]] = {
        "postgres": partial(ping, resources.engine),
        "payment_provider": resources.provider.probe,
    }
    batches = PaymentBatches(resources, read_fact)
    batching = Batching(batches.handle, min(settings.event_batch_size, MAX_EVENTS))
    with run_in_background(make_sweepers(settings, resources.provider)) as end_sweeps:
        run_worker("payments", HANDLERS, resources, settings, probes=probes, on_shutdown=end_sweeps, batching=batching)


def make_sweepers(settings: Settings, provider: Provider) -> list[Sweeper[Any]]:
    """The sweeps of payments, with their own connections, separate from those of the event handlers."""
    seconds = settings.database_timeout_seconds
    name = "worker-payments sweeps"
    engine = make_engine(settings.database_url, pool_size=SWEEP_CONNECTIONS, timeout_seconds=seconds, name=name)
    # Only the part of sagas that payments can see, without the outboxes of other contexts.
    queues = QueueReader(settings.rabbitmq_url, name=name)
    watch = SagaHealth({"payments": engine}, queues, SAGA_CONSUMERS, {"the payment provider": provider.probe})
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    # Not CIRCUIT_BREAKER_MAX_FAILURES: after the first failure one of the sweeps probes for all.
    breaker = Breaker("postgres_payments", max_failures=1)
    resources = Resources(engine, provider)
    return [
        Sweeper("payments", sweep, engine, resources, holder=holder, held_up=watch.reason, breaker=breaker)
        for sweep in SWEEPS
    ]


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare
        from common.messaging import topology

        prepare(__file__, Settings, queues=[topology.events_queue("payments")])
    main()
