"""The archive worker: `python -m workers.archive.main`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from common.messaging.batch_handling import Batching
from common.messaging.celery_worker import run_worker
from common.messaging.worker_settings import BatchWorkerSettings
from common.observability.logs import configure_logging
from common.observability.metrics import serve_metrics
from common.settings import DocumentSettings, load
from common.storage.mongodb import connect_by, ping
from services.archive.event_log import EventLog
from workers.archive.backfill import Backfill
from workers.archive.consumers import HANDLERS, file_events


@dataclass(frozen=True, kw_only=True)
class Settings(BatchWorkerSettings, DocumentSettings):
    """The settings of the archive worker."""


def main() -> None:
    settings = load(Settings)
    configure_logging("worker-archive", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    # One connection more, for the back-fill.
    database = connect_by(settings, name="worker-archive", pool_size=settings.worker_threads + 1)
    backfill = Backfill(database)
    backfill.start()
    log = EventLog(database)
    run_worker(
        "archive",
        HANDLERS,
        log,
        settings,
        probes={"mongodb": partial(ping, database)},
        on_shutdown=backfill.stop,
        batching=Batching(partial(file_events, log), settings.event_batch_size),
    )


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare
        from common.messaging import topology
        from services.archive import migrations

        prepare(__file__, Settings, queues=[topology.events_queue("archive")], migrations=migrations)
    main()
