"""A worker for a queue with messages of any content: each is passed on unchanged, and acknowledged after it was
handled.

It is the same Celery worker as that of `celery_worker`, with its pause for outages, but no message content can cause a
rejection: body, headers and content type are set aside before Celery or kombu parses them (kombu would decompress and
decode them). A message that could not be handled returns to its queue, at most once a second for each thread, so the
queue must not have a delivery limit.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from celery import Celery
from celery.exceptions import Reject
from kombu.serialization import register

from common.errors import Unavailable, classify
from common.messaging.celery_settings import celery_settings
from common.messaging.celery_worker import start
from common.messaging.consumer_pause import ConsumerPause
from common.messaging.event_consumer import EventConsumer
from common.messaging.event_spans import taking_span
from common.messaging.events import InvalidEventError, new_id
from common.messaging.raw_message import RawMessage, untouched
from common.observability.tracing import configure_tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kombu import Queue

    from common.messaging.worker_settings import WorkerSettings

TASK_NAME = "holdfast.handle_raw"
REQUEUE_SECONDS = 1.0
_SERIALIZER, _CONTENT_TYPE = "raw-message", "application/x-holdfast-raw-message"
_log = structlog.get_logger(__name__)


def run_raw_worker(
    context: str,
    queue: Queue,
    take: Callable[[RawMessage], object],
    settings: WorkerSettings,
    *,
    probes: Mapping[str, Callable[[], object]],
) -> None:
    """Hand each message of `queue` to `take` until SIGTERM; while a probe fails, none is consumed."""
    configure_tracing(f"worker-{context}", settings)
    pause = ConsumerPause(context, probes)
    register(_SERIALIZER, _encode, _decode, content_type=_CONTENT_TYPE, content_encoding="binary")
    app = Celery(f"holdfast-{context}", broker=settings.rabbitmq_url, set_as_current=False)
    consumer_class = f"{__name__}:{RawConsumer.__name__}"
    app.conf.update(celery_settings(context, queue, serializer=_SERIALIZER, worker_consumer=consumer_class))

    @app.task(name=TASK_NAME, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
    def handle(message: RawMessage) -> None:
        try:
            with taking_span(context, queue.name, message.body):
                take(message)
        except Exception as error:
            if classify(error) is Unavailable:
                pause.begin(repr(error))
            else:
                _log.exception("message not handled", routing_key=message.routing_key, bytes=len(message.body))
            time.sleep(REQUEUE_SECONDS)
            raise Reject(repr(error), requeue=True) from error

    start(app, context, pause, settings)


class RawConsumer(EventConsumer):
    """Celery's consumer, changed to treat every message as the same plain task."""

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """Called before the worker subscribes to the queue: replace kombu's message class here."""
        handler = super(EventConsumer, self).create_task_handler(*args, **kwargs)
        self._keep_the_pause()
        channel = self.task_consumer.channel
        channel.auto_decode = False
        channel.Message = untouched(channel.Message)

        def receive(message: Any) -> Any:
            message.body = _raw(message)
            message.content_type, message.content_encoding = _CONTENT_TYPE, "binary"
            message.properties = {}
            message.headers = {"lang": "py", "task": TASK_NAME, "id": new_id(), "argsrepr": "()", "kwargsrepr": "{}"}
            return handler(message)

        return receive


def _raw(message: Any) -> RawMessage:
    body = message.body
    return RawMessage(
        body=body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body or b""),
        routing_key=str(message.delivery_info.get("routing_key") or ""),
        headers=message.headers,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
    )


def _encode(_payload: Any) -> str:
    raise InvalidEventError("nothing is published through this worker")


def _decode(message: Any) -> list[Any]:
    """Celery's `[args, kwargs, embed]`."""
    return [[message], {}, {}]
