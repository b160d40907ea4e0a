"""A frame from the broker is complete within `FRAME_SECONDS`, or its connection is closed.

Both client libraries trust the length in a frame header, up to 4 GB. After malformed bytes they wait for a frame that
never ends, and swallow what the broker sends from then on. py-amqp retries in a busy loop and sends no heartbeat; pika
counts every byte as a sign of life. Neither has a setting or a callback for it, so this module reads two private
buffers. py-amqp resumes a frame after a time-out, but applies a time-out only before a frame's first byte; here it
applies to each read.
"""

from __future__ import annotations

import time
from typing import Any

from amqp.exceptions import RecoverableConnectionError
from kombu.transport import pyamqp

# Enough for the largest frame, 128 KiB, at 30 kB a second; far less than two missed heartbeats.
FRAME_SECONDS = 5.0
CHECK_SECONDS = 0.5


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

    def check_frames(self) -> None:
        """Raise if the incoming frame is late."""
        if self._clock.is_late(self.bytes_recv, is_partial=self._is_partial):  # it counts frames
            raise RecoverableConnectionError("the broker stopped in the middle of a frame")

    @property
    def _is_partial(self) -> bool:
        return bool(self._transport and self._transport._read_buffer)  # noqa: SLF001 - nothing public says so
