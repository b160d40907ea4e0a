"""Publishing with confirms: a batch is published in order, and the result names the confirmed messages.

Each message is persistent and mandatory; an unroutable message is returned and does not count as confirmed.
pika's BlockingConnection confirms one message at a time, so a SelectConnection's loop runs in the caller's thread.
Sources: https://www.rabbitmq.com/docs/confirms, https://pika.readthedocs.io/en/stable/
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import pika
import structlog

from common.errors import Unavailable
from common.messaging.bounded_frames import FrameClock
from common.messaging.confirms import Batch
from common.messaging.readable_socket import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pika.channel import Channel
    from pika.frame import Method
    from pika.spec import Basic, BasicProperties

    from common.messaging.confirms import Message

CONNECT_SECONDS = 4.0
HEARTBEAT_SECONDS = 10
BLOCKED_SECONDS = 0.5
CLOSE_SECONDS = 1.0
WHILE_WAITING_SECONDS = 0.25
_log = structlog.get_logger(__name__)
# pika logs five lines per attempt while the broker is down; the exceptions raised here have the same information.
logging.getLogger("pika").setLevel(logging.CRITICAL)


class BrokerDownError(Unavailable):
    """The broker cannot be reached, or stopped answering."""

    code = "broker_unavailable"


class ConfirmedPublisher:
    """One connection and channel to one exchange; reconnects on use after a failure.

    Not thread-safe.

    With several URLs, separated by `;`, each failure switches to the next one, so that it also leaves a node that
    accepts connections but confirms nothing. `while_waiting` is called several times a second during every wait for the
    broker; it must not raise, nor use this object.
    """

    def __init__(self, broker_url: str, exchange: str, *, name: str) -> None:
        self._nodes = deque(_parameters(url, name) for url in broker_url.split(";"))
        self._exchange = exchange
        self.while_waiting: Callable[[], object] = lambda: None
        self._connection: pika.SelectConnection | None = None
        self._channel: Channel | None = None
        self._frames = FrameClock()
        self._blocked = False
        self._failure: object = None
        self._batch = Batch([])
        self._published = 0

    def connect(self) -> None:
        """Connect if not connected. Raises `BrokerDownError` within some seconds for each node."""
        if self._is_ready:
            self._wait_while_blocked()
            return
        for _ in range(len(self._nodes)):
            if self._open():
                return
            self._give_up()
        message = f"the broker did not open a channel: {self._failure}"
        raise BrokerDownError(message)

    def _open(self) -> bool:
        self.close()
        self._failure, self._frames = "no answer", FrameClock()
        self._connection = pika.SelectConnection(
            self._nodes[0],
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
        )
        # Longer than pika's own time-out: then pika cleans up.
        self._run(lambda: self._is_ready, CONNECT_SECONDS + 0.5)
        return self._is_ready

    def _give_up(self) -> None:
        """Leave this node and use the next one."""
        self.close()
        self._nodes.rotate(-1)

    def publish(self, messages: Sequence[Message], *, timeout_seconds: float) -> set[str]:
        """Publish in order; returns the ids that were confirmed and not returned. Raises `BrokerDownError`.

        If the connection breaks, it returns the ids confirmed before; the rest counts as unpublished.
        """
        self.connect()
        channel = self._channel
        if channel is None:
            raise BrokerDownError("the connection was lost")
        batch = self._batch = Batch([message.id for message in messages], self._published + 1)
        self._published += len(messages)
        for message in messages:
            channel.basic_publish(
                self._exchange, message.routing_key, message.body, _properties(message), mandatory=True
            )
        self._run(lambda: batch.done or not self._is_ready, timeout_seconds)
        if batch.returned:
            _log.error("unroutable messages", count=len(batch.returned), keys=sorted(set(batch.returned.values())))
        if not batch.done:
            if not self._blocked:
                self._give_up()  # it may have lost unconfirmed messages
            if not batch.confirmed:
                failure = f"the broker confirmed nothing: {self._failure or 'no answer'}"
                raise BrokerDownError(failure)
        return batch.confirmed

    @property
    def returned(self) -> set[str]:
        """The unroutable ids of the last batch."""
        return set(self._batch.returned)

    @property
    def is_connected(self) -> bool:
        return self._is_ready

    def idle(self, seconds: float, *, until_readable: int | None = None) -> None:
        """Serve heartbeats for `seconds`, or until there is something to read from the socket `until_readable`."""
        with watched(self._connection, until_readable) as is_readable:
            self._run(is_readable, seconds, each=seconds)

    def close(self) -> None:
        connection, self._connection, self._channel, self._blocked = self._connection, None, None, False
        if connection is None:
            return
        if connection.is_open:
            connection.close()
            self._run(lambda: bool(connection.is_closed), CLOSE_SECONDS, connection)
        if not connection.is_closed:
            # The peer is frozen: without this its socket would stay open until garbage collection.
            connection._adapter_disconnect_stream()  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public hangs up
            self._run(lambda: bool(connection.is_closed), CLOSE_SECONDS, connection)
        try:
            connection.ioloop.close()
        except Exception as error:  # noqa: BLE001 - pika asserts when a broken loop is closed; the socket goes anyway
            _log.debug("closing a broken connection failed", error=repr(error))

    @property
    def _is_ready(self) -> bool:
        return self._channel is not None and self._channel.is_open

    def _wait_while_blocked(self) -> None:
        # In an alarm (memory, disk) the broker stops reading. Sent messages wait in its socket and are accepted later:
        # to reconnect and resend repeatedly would multiply them just when the broker has no space.
        if self._blocked:
            self._run(lambda: not self._blocked or not self._is_ready, BLOCKED_SECONDS)
        if self._blocked:
            raise BrokerDownError("the broker has an alarm and accepts no messages")

    def _run(
        self, done: Callable[[], bool], seconds: float, connection: Any = None, *, each: float = WHILE_WAITING_SECONDS
    ) -> None:
        connection = connection or self._connection
        deadline = time.monotonic() + seconds
        while connection is not None and not done() and (left := deadline - time.monotonic()) > 0:
            if connection.is_closed:
                return
            if connection is self._connection and self._is_frame_late(connection):
                self.close()
                self._failure = "it stopped in the middle of a frame"
                _log.warning("the connection was closed", reason=self._failure)
                return
            timer = connection.ioloop.call_later(min(left, each), connection.ioloop.stop)
            connection.ioloop.start()
            connection.ioloop.remove_timeout(timer)
            self.while_waiting()

    def _is_frame_late(self, connection: Any) -> bool:
        is_partial = bool(connection._frame_buffer)  # noqa: SLF001 - nothing public says so
        return self._frames.is_late(connection.frames_received, is_partial=is_partial)

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.ioloop.stop()

    def _on_open(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(lambda *_: self._on_blocked(blocked=True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._on_blocked(blocked=False))
        connection.channel(on_open_callback=self._on_channel)

    def _on_blocked(self, *, blocked: bool) -> None:
        _log.warning("the broker blocks publishers" if blocked else "the broker accepts messages again")
        self._blocked = blocked
        self._stop()

    def _on_channel(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._on_return)
        channel.add_on_close_callback(self._on_closed)
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._on_ready(channel))

    def _on_ready(self, channel: Channel) -> None:
        self._published, self._blocked, self._failure = 0, False, None
        self._channel = channel
        self._stop()

    def _on_closed(self, closed: Any, reason: Any) -> None:
        # The end of the connection, of its channel (a missing exchange), or of a connection attempt.
        self._failure = str(reason) or repr(reason)
        if self._channel is not None:
            _log.warning("the broker ended the connection", reason=self._failure)
        self._channel, self._blocked = None, False
        closed_connection = getattr(closed, "connection", closed)
        closed_connection.ioloop.stop()

    def _on_return(self, _channel: Channel, method: Basic.Return, properties: BasicProperties, _body: bytes) -> None:
        self._batch.returned[str(properties.message_id)] = str(method.routing_key)

    def _on_confirm(self, frame: Method[Any]) -> None:
        taken = type(frame.method).__name__ == "Ack"
        self._batch.settle(frame.method.delivery_tag, multiple=frame.method.multiple, taken=taken)
        if self._batch.done:
            self._stop()


def _parameters(url: str, name: str) -> pika.URLParameters:
    made = pika.URLParameters(url)
    made.heartbeat = HEARTBEAT_SECONDS
    made.socket_timeout = made.stack_timeout = CONNECT_SECONDS
    made.client_properties = {"connection_name": name}
    return made


def _properties(message: Message) -> pika.BasicProperties:
    return pika.BasicProperties(
        message_id=message.id,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        delivery_mode=pika.DeliveryMode.Persistent.value,
        headers=message.headers,
    )
