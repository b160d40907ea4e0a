"""Flower, read-only and behind a password: `python -m infrastructure.flower.main`.

It shows each handled event as a task with the event's type as name, and the state of the workers; /healthcheck and
/metrics are open, for internal supervision and monitoring. Its pages change nothing: the system itself retries and
replays, and only a supervisor stops a worker. It sends nothing to workers. Its data comes from Celery's events, the
last `TASKS` in memory; it is not reliable: workers publish them without confirms, and they are lost while Flower is
down.
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
    """Serve until a signal; 2 for invalid settings."""
    settings = load(Settings)
    _set_options(settings)
    signal.signal(signal.SIGTERM, _end)
    serve(settings)
    return 0


def serve(settings: Settings) -> None:
    """Run Flower's loop."""
    # Flower reads its options at import, so set them before.
    from flower.app import Flower  # noqa: PLC0415 - reads the settings above at import
    from flower.urls import settings as pages  # noqa: PLC0415 - as above

    flower = Flower(capp=make_app(settings), options=options, **pages)
    flower.inspector = ObservedWorkers(flower.events.state)
    flower.start_http_server()
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        flower.stop()


def make_app(settings: Settings) -> Celery:
    """Return a Celery app that only consumes events; its queues are exclusive."""
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
    # Flower can query only one node of a cluster; its page of queues is empty while that is down.
    options.broker_api = f"{settings.rabbitmq_management_url.partition(';')[0].rstrip('/')}/api/"
    options.read_only = True
    options.enable_events = False  # the workers publish them without a request
    # Also the outcome: done, duplicate, retried, parked or dead are all successes for Celery.
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
