"""Celery's consumer, changed to lose no message and to resume quickly after an outage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from billiard.common import restart_state
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer as CeleryConsumer

from common.messaging.bounded_frames import CHECK_SECONDS
from common.messaging.events import Event, InvalidEventError, new_id
from common.messaging.monitoring import is_for_remote_control
from common.messaging.raw_message import untouched
from common.messaging.relay import TASK_NAME

if TYPE_CHECKING:
    from common.messaging.consumer_pause import ConsumerPause
    from common.messaging.event_runner import EventRunner

MONITORING_SECONDS = 0.5
_CARRIED = ("lang", "task", "id", "root_id", "shadow", "argsrepr", "kwargsrepr")
_log = structlog.get_logger(__name__)


class EventConsumer(CeleryConsumer):
    # Set by Celery's own steps; its type stubs do not have them.
    connection: Any
    event_dispatcher: Any
    task_consumer: Any
    _flush_events: Any
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
        self.runner: EventRunner = self.app.conf["holdfast_runner"](self)

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        hub.call_repeatedly(CHECK_SECONDS, self._check_frames)
        hub.call_repeatedly(MONITORING_SECONDS, self._flush_events)

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # to the stubs it returns a function
        """Celery would publish each monitoring event separately; here those of an interval share one message."""

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
            message.headers = sane_headers(message.headers)
            # Flower distinguishes tasks by id, and each context's handling of an event is a task.
            message.headers["id"] += "." + str(self.hostname).partition("@")[0]
            try:
                _check_decoded(message.payload)
            except Exception as error:  # noqa: BLE001 - whatever it raises, the message is at fault
                return self.on_decode_error(message, error)
            return handler(message)

        return self.runner.watch(receive)

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


def sane_headers(headers: Any) -> dict[str, Any]:
    known = dict(headers or {})
    sane = {name: value for name, value in known.items() if name.startswith(("holdfast-", "x-"))}
    sane |= {name: str(known[name]) for name in _CARRIED if known.get(name) is not None}
    return sane | {"task": TASK_NAME, "id": sane.get("id") or new_id()}  # the body decides what it is


def _check_decoded(payload: Any) -> None:
    """An empty body, or one without a content type, passes kombu undecoded; Celery would exit on it."""
    if not (isinstance(payload, list) and payload and isinstance(payload[0], list) and type(payload[0][0]) is Event):
        raise InvalidEventError("not an event document")
