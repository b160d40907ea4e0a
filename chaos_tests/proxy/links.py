"""The proxied connections: forward bytes with the active toxics.

Adding or removing a toxic also affects open connections, like in Toxiproxy.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos_tests.proxy.toxics import Toxic

READ_BYTES = 32 * 1024
CONNECT_SECONDS = 5.0
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """One listening address, one upstream address, its toxics and its open connections."""

    def __init__(
        self, name: str, listen: str, upstream: str, translate: Callable[[bytes], bytes] = lambda data: data
    ) -> None:
        self.name, self.listen, self.upstream = name, listen, upstream
        self.translate = translate  # for a server whose replies name its own address
        self.enabled = False
        self.toxics: dict[str, Toxic] = {}
        self.struck: Counter[str] = Counter()  # toxic -> how often it took effect since the proxy was created
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._changed = asyncio.Event()

    async def enable(self) -> None:
        if not self.enabled:
            host, port = _address(self.listen)
            self._server = await asyncio.start_server(self._serve, host, port, limit=READ_BYTES)
            port = self._server.sockets[0].getsockname()[1]
            self.listen, self.enabled = f"{host}:{port}", True

    async def disable(self) -> None:
        """Refuse new connections and close existing ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.enabled = False
        for link in list(self._links):
            link.end()

    def touched(self) -> None:
        """Toxics have changed: wake waiting connections; close those with a `reset_peer`."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def count(self, toxic: Toxic, *, applied: bool) -> None:
        self.struck[toxic.name] += applied

    @property
    def changed(self) -> asyncio.Event:
        return self._changed

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [toxic.document() for toxic in self.toxics.values()],
            "struck": dict(self.struck),  # not in Toxiproxy
        }

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


class _Link:
    """One client's connection and the upstream connection."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy, self._reader, self._writer = proxy, reader, writer
        self._luck = random.random()  # the same for the life of the connection
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        host, port = _address(self._proxy.upstream)
        try:
            far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_SECONDS)
        except (OSError, TimeoutError):
            self._writer.close()
            return
        self._tasks = [
            asyncio.ensure_future(self._copy("upstream", self._reader, far_writer)),
            asyncio.ensure_future(self._copy("downstream", far_reader, self._writer)),
        ]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in (self._writer, far_writer):
                writer.close()

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _copy(self, stream: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        reading = asyncio.ensure_future(reader.read(READ_BYTES))
        try:
            while True:
                changed = asyncio.ensure_future(self._proxy.changed.wait())
                await asyncio.wait({reading, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if await self._is_reset(stream):
                    return
                if not reading.done():
                    continue
                with suppress(ConnectionError, OSError):
                    data = reading.result() if stream == "upstream" else self._proxy.translate(reading.result())
                    if data and await self._pass(stream, data, writer, passed):
                        passed += len(data)
                        reading = asyncio.ensure_future(reader.read(READ_BYTES))
                        continue
                await self._wait_to_close(stream)
                return
        finally:
            reading.cancel()

    async def _pass(self, stream: str, data: bytes, writer: asyncio.StreamWriter, passed: int) -> bool:
        """Forward `data` through the toxics; False ends the connection."""
        for toxic in self._toxics_of(stream):
            values = toxic.attributes
            self._proxy.count(toxic, applied=toxic.type != "limit_data" or passed + len(data) > values["bytes"])
            if toxic.type == "timeout":
                return await self._swallow(toxic)
            if toxic.type == "latency":
                await asyncio.sleep(max(0, values["latency"] + random.uniform(-1, 1) * values["jitter"]) / 1000)
            elif toxic.type == "bandwidth":
                await asyncio.sleep(len(data) / (values["rate"] * 1000) if values["rate"] else CONNECT_SECONDS)
            elif toxic.type == "garbage":
                data = os.urandom(len(data))
            elif toxic.type == "limit_data" and passed + len(data) > values["bytes"]:
                writer.write(data[: max(0, values["bytes"] - passed)])
                await writer.drain()
                return False
            elif toxic.type == "slicer":
                return await self._slice(toxic, data, writer)
        writer.write(data)
        await writer.drain()
        return True

    async def _slice(self, toxic: Toxic, data: bytes, writer: asyncio.StreamWriter) -> bool:
        values, place = toxic.attributes, 0
        while place < len(data):
            spread = min(values["size_variation"], values["average_size"] - 1)  # at least a byte is left
            size = values["average_size"] + random.randint(-spread, spread)
            writer.write(data[place : place + size])
            await writer.drain()
            place += size
            await asyncio.sleep(values["delay"] / 1_000_000)
        return True

    async def _swallow(self, toxic: Toxic) -> bool:
        """Drop everything until the time-out, or (0) until the toxic is removed; then the connection ends."""
        seconds = toxic.attributes["timeout"] / 1000
        if seconds:
            await asyncio.sleep(seconds)
            return False
        while toxic.name in self._proxy.toxics:
            await self._proxy.changed.wait()
        return False

    async def _is_reset(self, stream: str) -> bool:
        for toxic in self._toxics_of(stream):
            if toxic.type == "reset_peer":
                self._proxy.count(toxic, applied=True)
                await asyncio.sleep(toxic.attributes["timeout"] / 1000)
                raw = self._writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self._writer.transport.abort()
                return True
        return False

    async def _wait_to_close(self, stream: str) -> None:
        for toxic in self._toxics_of(stream):
            if toxic.type == "slow_close":
                await asyncio.sleep(toxic.attributes["delay"] / 1000)

    def _toxics_of(self, stream: str) -> list[Toxic]:
        return [
            toxic for toxic in self._proxy.toxics.values() if toxic.stream == stream and self._luck < toxic.toxicity
        ]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)
