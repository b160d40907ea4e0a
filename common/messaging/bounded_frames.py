"""A frame from the broker is complete within `FRAME_SECONDS`, or its connection is closed.

Both client libraries trust the length in a frame header, up to 4 GB. After malformed bytes they wait for a frame that
never ends, and swallow what the broker sends from then on. py-amqp retries in a busy loop and sends no heartbeat; pika
counts every byte as a sign of life. Neither has a setting or a callback for it, so this module reads two private
buffers. py-amqp resumes a frame after a time-out, but applies a time-out only before a frame's first byte; here it
applies to each read.

Celery's loop reads ahead as well. py-amqp would call `recv` three times for each of a message's three frames, and
change and restore the socket's time-out around each frame.
"""

from __future__ import annotations

import time
from contextlib import suppress
from struct import Struct
from typing import Any

from amqp.exceptions import RecoverableConnectionError
from kombu.transport import pyamqp

# Enough for the largest frame, 128 KiB, at 30 kB a second; far less than two missed heartbeats.
FRAME_SECONDS = 5.0
CHECK_SECONDS = 0.5
RECEIVE_BYTES = 8 * 1024  # more would be copied more often: py-amqp cuts each frame from the buffer's front
_HEADER = Struct(">BHI")  # type, channel, size; one byte ends the frame


class FrameClock:
    """Times the incoming frame of one connection. Call it several times a second."""

    def __init__(self) -> None:
        self._whole_frames = -1
        self._deadline = 0.0

    def is_late(self, whole_frames: int, *, is_partial: bool) -> bool:
        """Whether a partly received frame has not completed for too long (`whole_frames` does not grow)."""
        if whole_frames != self._whole_frames or not is_partial:
            self._whole_frames, self._deadline = whole_frames, time.monotonic() + FRAME_SECONDS
        return time.monotonic() > self._deadline


def bound_frames() -> None:
    """Applies to every connection that this process opens with kombu from now on."""
    pyamqp.Transport.Connection = BoundedConnection


class BoundedConnection(pyamqp.Connection):
    """py-amqp's connection, whose event loop calls `check_frames` several times a second."""

    _transport: Any  # not in its type stubs

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = FrameClock()

    def Transport(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - py-amqp's name
        """Open a socket whose reads end with a time-out in the middle of a frame as well as before it."""
        transport = super().Transport(*args, **kwargs)
        read = transport._read  # noqa: SLF001 - the one place where py-amqp decides; it has no setting
        transport._read = lambda count, initial=False: read(count, True)  # noqa: ARG005, SLF001 - its signature
        return transport

    def drain_events(self, timeout: float | None = None) -> None:
        """Without waiting (0, as Celery's loop calls it), handle every message that one `recv` completed.

        Waits for a reply read exact lengths: no loop would notice a message that they left in the buffer.
        """
        super().drain_events(timeout)
        while timeout == 0 and self._has_frame:
            self.blocking_read(0)

    def blocking_read(self, timeout: float | None = None) -> Any:
        if timeout != 0:
            return super().blocking_read(timeout)
        while not self._has_frame:
            self._receive()
        return self.on_inbound_frame(self.transport.read_frame())

    def _receive(self) -> None:
        """Receive available bytes. Raises `TimeoutError` if there are none, else as py-amqp's transport does."""
        transport = self.transport
        try:
            with transport.having_timeout(0) as socket:
                received = socket.recv(RECEIVE_BYTES)
            if not received:
                raise ConnectionAbortedError("the broker closed the connection")
        except TimeoutError:
            raise
        except OSError:
            transport.connected = False
            raise
        transport._read_buffer += received  # noqa: SLF001 - its `read_frame` takes frames from there

    @property
    def _has_frame(self) -> bool:
        buffer = self._buffer
        return len(buffer) > _HEADER.size and len(buffer) > _HEADER.size + _HEADER.unpack_from(buffer)[2]

    def check_frames(self) -> None:
        """Handle what an interrupted `drain_events` left in the buffer. Raise if the incoming frame is late."""
        with suppress(TimeoutError):
            while self._has_frame:
                self.drain_events(timeout=0)
        if self._clock.is_late(self.bytes_recv, is_partial=bool(self._buffer)):  # it counts frames
            raise RecoverableConnectionError("the broker stopped in the middle of a frame")

    @property
    def _buffer(self) -> bytes:
        """What was received and is not handled yet."""
        return self._transport._read_buffer if self._transport else b""  # noqa: SLF001 - nothing public says so
