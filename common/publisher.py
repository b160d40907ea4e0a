"""Publishing with confirms: a batch goes out in order, and the answer says what the broker has taken for good.

Each message is persistent and mandatory; a message that no queue took is returned and does not count as confirmed.
pika's BlockingConnection confirms one message at a time, so a SelectConnection's loop runs in the caller's thread.
Sources: https://www.rabbitmq.com/docs/confirms, https://pika.readthedocs.io/en/stable/
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pika
import structlog

from common.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pika.channel import Channel
    from pika.frame import Method
    from pika.spec import Basic, BasicProperties

CONNECT_SECONDS = 4.0
HEARTBEAT_SECONDS = 10
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `id` is unique within a batch and is what a return names."""

    id: str
    routing_key: str
    body: bytes
    content_type: str
    headers: dict[str, Any] = field(default_factory=dict)


class BrokerDownError(Unavailable):
    """The broker cannot be reached, or stopped answering."""

    code = "broker_unavailable"


class ConfirmedPublisher:
    """One connection and channel to one exchange; reconnects when it is used after a failure. Not thread-safe."""

    def __init__(self, broker_url: str, exchange: str, *, name: str) -> None:
        self._parameters = pika.URLParameters(broker_url)
        self._parameters.heartbeat = HEARTBEAT_SECONDS
        self._parameters.socket_timeout = self._parameters.stack_timeout = CONNECT_SECONDS
        self._parameters.blocked_connection_timeout = CONNECT_SECONDS * 5
        self._parameters.client_properties = {"connection_name": name}
        self._exchange = exchange
        self._connection: pika.SelectConnection | None = None
        self._channel: Channel | None = None
        self._batch = _Batch([])
        self._published = 0

    def connect(self) -> None:
        """Connect if not connected. Raises `BrokerDownError` within some seconds."""
        if self._channel is not None and self._channel.is_open:
            return
        self.close()
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
        )
        self._run(lambda: self._channel is not None and self._channel.is_open, CONNECT_SECONDS)
        if self._channel is None or not self._channel.is_open:
            self.close()
            raise BrokerDownError("the broker did not open a channel")

    def publish(self, messages: Sequence[Message], *, timeout_seconds: float) -> set[str]:
        """Publish in order; answers the ids that were confirmed and not returned. Raises `BrokerDownError`.

        What is confirmed before the connection breaks is answered; the rest counts as not published.
        """
        self.connect()
        channel = self._channel
        if channel is None:
            raise BrokerDownError("the connection was lost")
        batch = self._batch = _Batch([message.id for message in messages], self._published + 1)
        self._published += len(messages)
        for message in messages:
            channel.basic_publish(
                self._exchange, message.routing_key, message.body, _properties(message), mandatory=True
            )
        self._run(lambda: batch.done, timeout_seconds)
        if not batch.done:
            # Late confirms would be counted for the next batch: start anew.
            self.close()
            if not batch.confirmed:
                raise BrokerDownError("the broker confirmed nothing in time")
        return batch.confirmed

    def idle(self, seconds: float) -> None:
        """Serve heartbeats for `seconds`."""
        self._run(lambda: False, seconds)

    def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is None:
            return
        if connection.is_open:
            connection.close()
            self._run(lambda: bool(connection.is_closed), 1.0, connection)
        try:
            connection.ioloop.close()
        except Exception as error:  # noqa: BLE001 - pika asserts when a broken loop is closed; the socket goes anyway
            _log.debug("closing a broken connection failed", error=repr(error))

    def _run(self, done: Callable[[], bool], seconds: float, connection: pika.SelectConnection | None = None) -> None:
        connection = connection or self._connection
        deadline = time.monotonic() + seconds
        while connection is not None and not done() and (left := deadline - time.monotonic()) > 0:
            if connection.is_closed:
                return
            timer = connection.ioloop.call_later(left, connection.ioloop.stop)
            connection.ioloop.start()
            connection.ioloop.remove_timeout(timer)

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.ioloop.stop()

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._on_return)
        channel.add_on_close_callback(self._on_closed)
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._on_ready(channel))

    def _on_ready(self, channel: Channel) -> None:
        self._published = 0
        self._channel = channel
        self._stop()

    def _on_closed(self, closed: Any, reason: Any) -> None:
        _log.warning("broker connection ended", reason=str(reason))
        self._channel = None
        closed_connection = getattr(closed, "connection", closed)
        closed_connection.ioloop.stop()

    def _on_return(self, _channel: Channel, method: Basic.Return, properties: BasicProperties, _body: bytes) -> None:
        _log.error("the broker returned a message", reason=method.reply_text, routing_key=method.routing_key)
        self._batch.returned.add(str(properties.message_id))

    def _on_confirm(self, frame: Method[Any]) -> None:
        taken = type(frame.method).__name__ == "Ack"
        self._batch.settle(frame.method.delivery_tag, multiple=frame.method.multiple, taken=taken)
        if self._batch.done:
            self._stop()


class _Batch:
    """Which messages of a batch the broker has settled. Delivery tags count from 1 over the life of a channel."""

    def __init__(self, ids: Sequence[str], first_tag: int = 1) -> None:
        self._waiting = dict(enumerate(ids, first_tag))
        self._taken: set[str] = set()
        self.returned: set[str] = set()

    @property
    def done(self) -> bool:
        return not self._waiting

    @property
    def confirmed(self) -> set[str]:
        return self._taken - self.returned

    def settle(self, tag: int, *, multiple: bool, taken: bool) -> None:
        tags = [waiting for waiting in self._waiting if waiting <= tag] if multiple else [tag]
        ids = [self._waiting.pop(waiting) for waiting in tags if waiting in self._waiting]
        if taken:
            self._taken.update(ids)


def _properties(message: Message) -> pika.BasicProperties:
    return pika.BasicProperties(
        message_id=message.id,
        content_type=message.content_type,
        content_encoding="utf-8",
        delivery_mode=pika.DeliveryMode.Persistent.value,
        headers=message.headers,
    )
