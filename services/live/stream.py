"""One client's stream: the events archived after its cursor, then new ones, without gaps or duplicates.

Bounded: a client with `limit` waiting events is disconnected, and resumes with its Last-Event-ID. The stream ends when
its token expires, when the archive fails during the read of past events, and when the process stops; the last event
gives the reason.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from services.live import domain, metrics
from services.live.domain import Cursor
from services.live.history import history

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.live.domain import Message
    from services.live.hub import Hub
    from services.live.models import Archive

_RETRY_MS = (500, 3_000)


class Stream:
    """Of one order (`order_id`), of a customer's orders (`customer_id`), or of all orders (neither)."""

    def __init__(self, after: Cursor, *, order_id: str | None, customer_id: str | None, limit: int) -> None:
        self.order_id, self.customer_id = order_id, customer_id
        self.cursor = after
        self._limit = limit
        self._waiting: deque[Message] = deque()
        self._changed = asyncio.Event()
        self._reason: str | None = None

    def offer(self, message: Message) -> None:
        """Queue an event; too many waiting events end the stream."""
        if self._reason is None and message.cursor > self.cursor:
            if len(self._waiting) >= self._limit:
                self._waiting.clear()  # never a gap: nothing follows an unsent event
                self.end("slow_client")
                return
            self._waiting.append(message)
            self._changed.set()

    def end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._changed.set()

    async def frames(
        self, hub: Hub, archive: Archive, *, expires_at: float, heartbeat_seconds: float
    ) -> AsyncIterator[bytes]:
        """The bytes to send."""
        yield domain.opening(self.cursor, random.randint(*_RETRY_MS))
        try:
            async for frame in self._past(hub, archive, expires_at):
                yield frame
        except PyMongoError:
            self.end("unavailable")
        try:
            async for frame in self._present(hub, expires_at, heartbeat_seconds):
                yield frame
        finally:
            hub.unsubscribe(self)
        metrics.ENDED.labels(self._reason).inc()
        yield domain.ending(self._reason or "")

    async def _past(self, hub: Hub, archive: Archive, expires_at: float) -> AsyncIterator[bytes]:
        while self._reason is None:
            up_to = await hub.catch_up()
            async for messages in history(archive, self, up_to):
                self.cursor = messages[-1].cursor
                yield b"".join(each.frame for each in messages)
                if time.time() >= expires_at or self._reason is not None:
                    return
            self.cursor = max(self.cursor, Cursor(up_to))
            if up_to == hub.position:  # nothing was dispatched since: there was no await in between
                hub.subscribe(self)
                return

    async def _present(self, hub: Hub, expires_at: float, heartbeat_seconds: float) -> AsyncIterator[bytes]:
        while True:
            if time.time() >= expires_at:
                self.end("token_expired")
            if self._waiting:
                messages = list(self._waiting)
                self._waiting.clear()
                self.cursor = messages[-1].cursor
                yield b"".join(each.frame for each in messages)
            elif self._reason is not None:
                return
            elif not await self._wait(min(heartbeat_seconds, max(0.0, expires_at - time.time()))):
                self.cursor = max(
                    self.cursor, Cursor(hub.position)
                )  # the queue is empty: all events up to there were sent
                yield domain.progress(self.cursor)

    async def _wait(self, seconds: float) -> bool:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return bool(self._waiting)
        return True
