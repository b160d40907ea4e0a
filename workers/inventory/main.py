"""The inventory worker: `python -m workers.inventory.main`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from common.messaging.batch_handling import Batching, InboxBatches
from common.messaging.celery_worker import run_worker
from common.messaging.worker_settings import BatchWorkerSettings
from common.observability.logs import configure_logging
from common.observability.metrics import serve_metrics
from common.settings import DatabaseSettings, load
from common.storage.postgresql import make_engine, ping
from workers.inventory.consumers import HANDLERS, orders_together


@dataclass(frozen=True, kw_only=True)
class Settings(BatchWorkerSettings, DatabaseSettings):
    """The settings of the inventory worker."""


def main() -> None:
    settings = load(Settings)
    configure_logging("worker-inventory", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    engine = make_engine(
        settings.database_url,
        pool_size=settings.worker_threads,
        timeout_seconds=settings.database_timeout_seconds,
        name="worker-inventory",
    )
    batching = Batching(InboxBatches(engine, HANDLERS, orders_together).handle, settings.event_batch_size)
    run_worker("inventory", HANDLERS, engine, settings, probes={"postgres": partial(ping, engine)}, batching=batching)


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare
        from common.messaging import topology

        prepare(__file__, Settings, queues=[topology.events_queue("inventory")])
    main()
