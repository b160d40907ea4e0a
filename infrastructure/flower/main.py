"""Flower behind a password, to look and not to touch: `python -m infrastructure.flower.main`.

It shows each event that a context handles as a task under the event's own name, and how the workers are; /healthcheck
and /metrics are open, for whoever supervises and measures inside. Its pages change nothing (read-only): retries and
replays are the system's own business, and a worker is stopped by whoever supervises it. It sends workers nothing.
What it shows it has from Celery's events, kept in memory, the last `TASKS` of them; it is no witness: a worker sends
those without confirms, and they are lost while Flower is away.
"""

import logging
import signal
import sys
from types import FrameType

from celery import Celery
from tornado.log import enable_pretty_logging
from tornado.options import options

from common.settings import load
from infrastructure.flower.observation import ObservedWorkers, SilentControl
from infrastructure.flower.settings import Settings

TASKS = 10_000
WORKERS = 100
_PURGE_SECONDS = 3600


def main() -> int:
    """Serve until a signal comes; 2 if the settings do not do."""
    settings = load(Settings)
    _set_options(settings)
    signal.signal(signal.SIGTERM, _end)
    serve(settings)
    return 0


def serve(settings: Settings) -> None:
    """Run Flower's loop."""
    # Flower reads its own options when it is imported, so they are set before.
    from flower.app import Flower  # noqa: PLC0415
    from flower.urls import settings as pages  # noqa: PLC0415

    flower = Flower(capp=make_app(settings), options=options, **pages)
    flower.inspector = ObservedWorkers(flower.events.state)
    flower.start_http_server()
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        flower.stop()


def make_app(settings: Settings) -> Celery:
    """Return a Celery app that only listens; its queues are its own and end with it."""
    app = Celery("holdfast-flower", broker=settings.rabbitmq_url, set_as_current=False, control=SilentControl)
    app.conf.update(
        event_queue_exclusive=True,
        broker_heartbeat=10,
        broker_connection_timeout=4,
        broker_transport_options={"client_properties": {"connection_name": "flower"}},
        enable_utc=True,
        timezone="UTC",
    )
    return app


def _set_options(settings: Settings) -> None:
    import flower.options  # noqa: F401, PLC0415 - defines what is set here

    options.address, options.port = settings.service_host, settings.service_port
    options.basic_auth = [settings.flower_basic_auth]
    # Of a cluster's nodes Flower knows how to ask one; its page of queues is empty while that is away.
    options.broker_api = f"{settings.rabbitmq_management_url.partition(';')[0].rstrip('/')}/api/"
    options.read_only = True
    options.enable_events = False  # the workers send them unasked
    # What became of it, too: done, duplicate, retried, parked or dead are all the same success to Celery.
    options.tasks_columns = "name,worker,state,result,received,runtime,uuid"
    options.max_tasks, options.max_workers = TASKS, WORKERS
    options.purge_offline_workers = _PURGE_SECONDS
    options.logging = settings.log_level.lower()
    enable_pretty_logging(options)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
