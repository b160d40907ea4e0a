"""The Celery adapter: one worker process for one context's queue.

Celery provides the connection, the pool, remote control and Flower; defaults that would lose or duplicate messages are
overridden here. The body of a message is a CloudEvents document: anything else is rejected to the dead-letter exchange.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from celery import Celery, signals
from celery.exceptions import Reject
from kombu.serialization import register

from common.messaging import topology
from common.messaging.batch_runner import MakeRunner, choose_runner
from common.messaging.bounded_frames import bound_frames
from common.messaging.celery_settings import celery_settings, worker_options
from common.messaging.consumer import Consumer
from common.messaging.consumer_pause import ConsumerPause
from common.messaging.event_consumer import EventConsumer, sane_headers
from common.messaging.event_runner import EventRunner
from common.messaging.events import CONTENT_TYPE, MAX_EVENT_BYTES, InvalidEventError, from_json
from common.messaging.monitoring import enable_monitoring
from common.messaging.redelivery import Incoming, Redelivery
from common.messaging.relay import TASK_NAME
from common.observability.tracing import configure_tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from common.messaging.batch_handling import Batching
    from common.messaging.inbox import Delivery
    from common.messaging.worker_settings import WorkerSettings

R = TypeVar("R")
REQUEUE_SECONDS = 1.0
_SERIALIZER = "cloudevents"
_log = structlog.get_logger(__name__)


def run_worker(
    context: str,
    handlers: Mapping[str, Callable[[Delivery, R], None]],
    resources: R,
    settings: WorkerSettings,
    *,
    probes: Mapping[str, Callable[[], object]],
    on_shutdown: Callable[[], None] = lambda: None,
    batching: Batching | None = None,
) -> None:
    """Consume `<context>.events` until SIGTERM (messages in flight are finished first) or SIGQUIT.

    `probes` check each dependency within a time-out; while one fails, no event is handled.
    `on_shutdown` is called as soon as the signal comes; `batching` handles events together if several wait.
    """
    signals.worker_shutting_down.connect(lambda **_: on_shutdown(), weak=False)
    configure_tracing(f"worker-{context}", settings)
    redelivery = Redelivery(settings.rabbitmq_url, topology.events_queue(context))
    pause = ConsumerPause(context, probes, redelivery.probe)
    consumer = Consumer(
        context,
        handlers,
        resources,
        redelivery,
        retry_attempts=settings.retry_attempts,
        undecided_max_age_seconds=settings.undecided_max_age_seconds,
        pause=pause,
        batching=batching,
    )
    runner = choose_runner(consumer.handle_batch, batching)
    start(_make_app(context, consumer, settings), context, pause, settings, runner)


def start(
    app: Celery, context: str, pause: ConsumerPause, settings: WorkerSettings, runner: MakeRunner = EventRunner
) -> None:
    """Run `app` as this process's worker until a signal ends it, and exit: 0, or 1 if it has failed."""
    signals.setup_logging.connect(_keep_our_logging)
    for noisy in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # it logs two lines per event, without ids
    app.conf.update(holdfast_pause=pause, holdfast_runner=runner)
    bound_frames()
    signals.worker_shutting_down.connect(lambda **_: pause.stop(), weak=False)
    enable_monitoring(app)
    # Celery's command line, with a shell and every plugin, would be a quarter of a worker's start.
    worker = app.Worker(**worker_options(context, settings))
    worker.start()
    sys.exit(_exit_code(worker))


def _exit_code(worker: Any) -> int:
    """A stop by a signal is not a failure; Celery treats Ctrl-C as one."""
    from celery.worker import state  # noqa: PLC0415 - the module sets up state when imported

    return 0 if (state.should_stop, state.should_terminate) != (None, None) else int(worker.exitcode or 0)


def _make_app(context: str, consumer: Consumer[Any], settings: WorkerSettings) -> Celery:
    register(_SERIALIZER, _encode, _decode, content_type=CONTENT_TYPE, content_encoding="utf-8")
    app = Celery(f"holdfast-{context}", broker=settings.rabbitmq_url, set_as_current=False)
    consumer_class = f"{EventConsumer.__module__}:{EventConsumer.__name__}"
    queue = topology.consumer_queue(context)
    app.conf.update(celery_settings(context, queue, serializer=_SERIALIZER, worker_consumer=consumer_class))

    @app.task(name=TASK_NAME, bind=True, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
    def handle(task: Any, event: Any, body: str) -> str:
        try:
            return consumer.handle(event, Incoming(body, sane_headers(task.request.__dict__) | {"id": event.id}))
        except Exception as error:
            # It could not be parked: the broker is unavailable and keeps the message. Do not spin while it is.
            _log.exception("cannot park or dead-letter the message: it is requeued", event_id=event.id)
            time.sleep(REQUEUE_SECONDS)
            raise Reject(repr(error), requeue=True) from error

    return app


def _encode(_payload: Any) -> str:
    raise InvalidEventError("events are published by the relay, never by Celery")


def _decode(body: Any) -> list[Any]:
    """Celery's `[args, kwargs, embed]`; anything else would end the worker, so a body that is not an event raises."""
    if len(body) > MAX_EVENT_BYTES:
        message = f"larger than {MAX_EVENT_BYTES} bytes"
        raise InvalidEventError(message)
    text = body if isinstance(body, str) else bytes(body).decode()
    return [[from_json(text), text], {}, {}]


def _keep_our_logging(**_: Any) -> None:
    """A receiver of this signal prevents Celery from configuring its own logging."""
