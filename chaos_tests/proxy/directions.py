"""One direction of a proxied connection, and what the toxics of its stream do to it.

Without toxics, what one end sends is written to the other at once, without a task: each order of a stack behind proxies
takes some hundred such writes.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos_tests.proxy.links import Link
    from chaos_tests.proxy.toxics import Toxic

CLOSED_SECONDS = 5.0  # a bandwidth of zero


class Direction:
    """Forwards what one end receives to the other, in order."""

    def __init__(self, link: Link, stream: str) -> None:
        self.link, self._stream = link, stream
        self.source: asyncio.Transport | None = None
        self.target: asyncio.Transport | None = None
        self.writable = asyncio.Event()
        self.writable.set()
        self._waiting: deque[bytes] = deque()
        self._is_working = False
        self._passed = 0  # bytes

    def feed(self, data: bytes) -> None:
        """Forward `data`; empty for the end of the stream. While it is at work, no data comes: see `update`."""
        if self.link.has_ended:
            return
        if data and not self.link.toxics_of(self._stream):
            self._write(data)
            return
        self._waiting.append(data)
        if not self._is_working:
            self._is_working = True
            self.update()
            self.link.start(self._work())

    def update(self) -> None:
        """Read from the source only while what it sends can be forwarded."""
        if self.source is None:
            return
        if self.target is None or self._is_working or not self.writable.is_set():
            self.source.pause_reading()
        else:
            self.source.resume_reading()

    async def _work(self) -> None:
        while self._waiting:
            data = self._waiting.popleft()
            if not (data and await self._pass(data)):
                await self._wait_to_close()
                self.link.end()
                return
        self._is_working = False
        self.update()

    async def _pass(self, data: bytes) -> bool:
        """Forward `data` through the toxics; False ends the connection."""
        for toxic in self.link.toxics_of(self._stream):
            allowed = toxic.attributes["bytes"] - self._passed if toxic.type == "limit_data" else len(data)
            self.link.proxy.count(toxic, applied=toxic.type != "limit_data" or len(data) > allowed)
            if len(data) > allowed:
                self._write(data[: max(0, allowed)])
                return False
            if toxic.type == "timeout":
                return await self._swallow(toxic)
            if toxic.type == "reset_peer":
                return await self.link.reset(toxic)
            if toxic.type == "slicer":
                return await self._slice(toxic, data)
            if toxic.type == "garbage":
                data = os.urandom(len(data))
            await asyncio.sleep(_delay_seconds(toxic, data))
        self._write(data)
        await self.writable.wait()
        return True

    async def _slice(self, toxic: Toxic, data: bytes) -> bool:
        values, place = toxic.attributes, 0
        while place < len(data):
            spread = min(values["size_variation"], values["average_size"] - 1)  # at least a byte is left
            size = values["average_size"] + random.randint(-spread, spread)
            self._write(data[place : place + size])
            await self.writable.wait()
            place += size
            await asyncio.sleep(values["delay"] / 1_000_000)
        return True

    async def _swallow(self, toxic: Toxic) -> bool:
        """Drop everything until the time-out, or (0) until the toxic is removed; then the connection ends."""
        seconds = toxic.attributes["timeout"] / 1000
        if seconds:
            await asyncio.sleep(seconds)
            return False
        while toxic.name in self.link.proxy.toxics:
            await self.link.proxy.changed.wait()
        return False

    async def _wait_to_close(self) -> None:
        for toxic in self.link.toxics_of(self._stream):
            if toxic.type == "slow_close":
                await asyncio.sleep(toxic.attributes["delay"] / 1000)

    def _write(self, data: bytes) -> None:
        self._passed += len(data)
        if self.target:
            self.target.write(data if self._stream == "upstream" else self.link.proxy.translate(data))


def _delay_seconds(toxic: Toxic, data: bytes) -> float:
    values = toxic.attributes
    if toxic.type == "latency":
        return max(0, values["latency"] + random.uniform(-1, 1) * values["jitter"]) / 1000
    if toxic.type == "bandwidth":
        return len(data) / (values["rate"] * 1000) if values["rate"] else CLOSED_SECONDS
    return 0
