"""A stream as a response: sent in pieces, each within a time-out, until it ends or the client disconnects.

A client that reads nothing for `send_seconds` is disconnected. The kernel drops its buffer (main.py sets
TCP_USER_TIMEOUT).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response

from services.live import metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Receive, Scope, Send

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStreamResponse(Response):
    """`on_close` is called once at the end of the stream."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncIterator[bytes], *, send_seconds: float, on_close: Callable[[], None]) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._frames, self._send_seconds, self._on_close = frames, send_seconds, on_close

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self._on_close()

    async def _send(self, send: Send) -> None:
        try:
            async with asyncio.timeout(self._send_seconds):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for frame in self._frames:
                async with asyncio.timeout(self._send_seconds):
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            metrics.ENDED.labels("send_timeout").inc()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
