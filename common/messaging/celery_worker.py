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
from billiard.common import restart_state
from celery import Celery, signals
from celery.exceptions import Reject
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.serialization import register

from common.messaging import topology
from common.messaging.batch_lane import MakeLane, choose_lane
from common.messaging.bounded_frames import CHECK_SECONDS, bound_frames
from common.messaging.celery_settings import celery_settings, worker_options
from common.messaging.consumer import Consumer
from common.messaging.consumer_pause import ConsumerPause
from common.messaging.event_lane import EventLane
from common.messaging.events import CONTENT_TYPE, MAX_EVENT_BYTES, Event, InvalidEventError, from_json, new_id
from common.messaging.monitoring import enable_monitoring, is_for_remote_control
from common.messaging.raw_message import untouched
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
_CARRIED = ("lang", "task", "id", "root_id", "shadow", "argsrepr", "kwargsrepr")
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
    lane = choose_lane(consumer.handle_batch, batching)
    start(_make_app(context, consumer, settings), context, pause, settings, lane)


def start(
    app: Celery, context: str, pause: ConsumerPause, settings: WorkerSettings, lane: MakeLane = EventLane
) -> None:
    """Run `app` as this process's worker until a signal ends it, and exit: 0, or 1 if it has failed."""
    signals.setup_logging.connect(_keep_our_logging)
    for noisy in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # it logs two lines per event, without ids
    app.conf.update(holdfast_pause=pause, holdfast_lane=lane)
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
    consumer_class = f"{__name__}:{EventConsumer.__name__}"
    queue = topology.consumer_queue(context)
    app.conf.update(celery_settings(context, queue, serializer=_SERIALIZER, worker_consumer=consumer_class))

    @app.task(name=TASK_NAME, bind=True, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
    def handle(task: Any, event: Any, body: str) -> str:
        try:
            return consumer.handle(event, Incoming(body, _sane_headers(task.request.__dict__) | {"id": event.id}))
        except Exception as error:
            # It could not be parked: the broker is unavailable and keeps the message. Do not spin while it is.
            _log.exception("could not pass the message on", event_id=event.id)
            time.sleep(REQUEUE_SECONDS)
            raise Reject(repr(error), requeue=True) from error

    return app


class EventConsumer(CeleryConsumer):
    """Celery's consumer, changed to lose no message and to resume quickly."""

    # Set by Celery's own steps; its type stubs do not have them.
    connection: Any
    event_dispatcher: Any
    task_consumer: Any
    connection_errors: Any

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[valid-type,misc]  # to the stubs it is a variable
        """Disables Celery's delayed delivery, which would bind every exchange to its own."""

        default_steps = tuple(step for step in CeleryConsumer.Blueprint.default_steps if "delayed_delivery" not in step)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # If each new connection fails, for example because of a broken queue, reconnect at most once a second.
        self._restart_state = restart_state(maxR=1, maxT=1)
        self.pause: ConsumerPause = self.app.conf["holdfast_pause"]
        self.pause.attach(lambda: self.call_soon(self._cancel), lambda: self.call_soon(self._subscribe))
        self.lane: EventLane = self.app.conf["holdfast_lane"](self)

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        hub.call_repeatedly(CHECK_SECONDS, self._check_frames)

    def _check_frames(self) -> None:
        for each in (self.connection, self.event_dispatcher and self.event_dispatcher.connection):
            if each and each.connected:
                each.connection.check_frames()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        super().on_connection_error_after_connected(exc)
        # Celery would close the events' channel and wait without a time-out for a reply that malformed bytes swallow.
        if self.event_dispatcher and self.event_dispatcher.connection:
            self.event_dispatcher.connection.collect()

    def _cancel(self) -> None:
        if self.pause.is_active and self.task_consumer:
            self.task_consumer.cancel()

    def _subscribe(self) -> None:
        if self.task_consumer:
            self.task_consumer.consume()

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Celery acknowledges undecodable messages, which loses them. Here they go to the dead-letter exchange."""
        if is_for_remote_control(message):  # rejecting a message without acknowledgements would end the worker
            return
        get_logger(__name__).error("undecodable message rejected: %r", exc)
        message.reject_log_error(get_logger(__name__), self.connection_errors)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """Reject messages that would end the worker, or be discarded, when Celery parses them."""
        handler = super().create_task_handler(*args, **kwargs)
        self._keep_the_pause()
        channel = self.task_consumer.channel
        channel.Message = untouched(channel.Message)

        def receive(message: Any) -> Any:
            # Drop Celery's own directives (`expires` and the like): any publisher could set them.
            message.headers = _sane_headers(message.headers)
            # Flower distinguishes tasks by id, and each context's handling of an event is a task.
            message.headers["id"] += "." + str(self.hostname).partition("@")[0]
            try:
                _check_decoded(message.payload)
            except Exception as error:  # noqa: BLE001 - whatever it raises, the message is at fault
                return self.on_decode_error(message, error)
            return handler(message)

        return self.lane.watch(receive)

    def _keep_the_pause(self) -> None:
        """After a reconnection Celery subscribes on its own, and the messages that it receives count a delivery."""
        consumer = self.task_consumer
        subscribe = consumer.consume
        consumer.consume = lambda *args, **kwargs: None if self.pause.is_active else subscribe(*args, **kwargs)

    def ensure_connected(self, conn: Any) -> Any:
        """Celery backs off 2, 4, 6 ... s; after an outage work must resume within seconds."""
        return conn.ensure_connection(
            lambda error, seconds: _log.warning("broker unreachable", error=repr(error), retry_in_seconds=seconds),
            max_retries=None,
            interval_start=0.5,
            interval_step=0.5,
            interval_max=1,
            callback=_maybe_shutdown,
        )


def _maybe_shutdown() -> None:
    from celery.worker.state import maybe_shutdown  # noqa: PLC0415 - the module sets up state when imported

    maybe_shutdown()


def _sane_headers(headers: Any) -> dict[str, Any]:
    known = dict(headers or {})
    sane = {name: value for name, value in known.items() if name.startswith(("holdfast-", "x-"))}
    sane |= {name: str(known[name]) for name in _CARRIED if known.get(name) is not None}
    return sane | {"task": TASK_NAME, "id": sane.get("id") or new_id()}  # the body decides what it is


def _encode(_payload: Any) -> str:
    raise InvalidEventError("events are published by the relay, never by Celery")


def _decode(body: Any) -> list[Any]:
    """Celery's `[args, kwargs, embed]`; anything else would end the worker, so a body that is not an event raises."""
    if len(body) > MAX_EVENT_BYTES:
        message = f"larger than {MAX_EVENT_BYTES} bytes"
        raise InvalidEventError(message)
    text = body if isinstance(body, str) else bytes(body).decode()
    return [[from_json(text), text], {}, {}]


def _check_decoded(payload: Any) -> None:
    """An empty body, or one without a content type, passes kombu undecoded; Celery would exit on it."""
    if not (isinstance(payload, list) and payload and isinstance(payload[0], list) and type(payload[0][0]) is Event):
        raise InvalidEventError("not an event document")


def _keep_our_logging(**_: Any) -> None:
    """A receiver of this signal prevents Celery from configuring its own logging."""
