"""The operations worker: `python -m workers.operations.main`. It stores dead letters and executes replays."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial

from common.messaging import topology
from common.messaging.publisher import ConfirmedPublisher
from common.messaging.raw_worker import run_raw_worker
from common.messaging.worker_settings import WorkerSettings
from common.observability.logs import configure_logging
from common.observability.metrics import serve_metrics
from common.settings import DocumentSettings, load
from common.storage.mongodb import connect_by, ping
from services.operations import usecases
from workers.operations.replaying import CONFIRM_SECONDS, Replayer


@dataclass(frozen=True, kw_only=True)
class Settings(WorkerSettings, DocumentSettings):
    """The settings of the operations worker."""


def main() -> None:
    settings = load(Settings)
    configure_logging("worker-operations", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    # Two connections more, for replays and for the pause's probe.
    database = connect_by(settings, name="worker-operations", pool_size=settings.worker_threads + 2)
    stop = threading.Event()
    # The default exchange: a replay goes only to the queue that its key names.
    replayer = Replayer(database, ConfirmedPublisher(settings.rabbitmq_url, "", name="operations replays"))
    thread = threading.Thread(target=replayer.run, args=(stop,), name="replays", daemon=True)
    thread.start()
    try:
        run_raw_worker(
            "operations",
            topology.dead_letters_queue(),
            partial(usecases.file_letter, database),
            settings,
            probes={"mongodb": partial(ping, database)},
        )
    finally:
        stop.set()
        thread.join(CONFIRM_SECONDS + settings.mongodb_timeout_seconds)


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare

        prepare(__file__, Settings)
    main()
