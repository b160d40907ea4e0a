"""The proxied connections: forward bytes with the active toxics.

Adding or removing a toxic also affects open connections, like in Toxiproxy.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from chaos_tests.proxy.directions import Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from chaos_tests.proxy.toxics import Toxic

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
        self.links: set[Link] = set()
        self.changed = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def enable(self) -> None:
        if not self.enabled:
            host, port = _address(self.listen)
            self._server = await asyncio.get_running_loop().create_server(lambda: Link(self).client, host, port)
            port = self._server.sockets[0].getsockname()[1]
            self.listen, self.enabled = f"{host}:{port}", True

    async def disable(self) -> None:
        """Refuse new connections and close existing ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.enabled = False
        for link in list(self.links):
            link.end()

    def touched(self) -> None:
        """Toxics have changed: wake waiting connections; reset those with a `reset_peer`."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        for link in list(self.links):
            link.touched()

    def count(self, toxic: Toxic, *, applied: bool) -> None:
        self.struck[toxic.name] += applied

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [toxic.document() for toxic in self.toxics.values()],
            "struck": dict(self.struck),  # not in Toxiproxy
        }


class Link:
    """One client's connection and the upstream connection. A toxic affects it for its whole life, or never."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self._luck = random.random()
        upstream, downstream = Direction(self, "upstream"), Direction(self, "downstream")
        self.client, self._server = _End(upstream, downstream), _End(downstream, upstream)
        self.has_ended = False
        self._tasks: set[asyncio.Task[object]] = set()

    def open(self) -> None:
        """The client is connected. It is not read until the upstream connection exists."""
        self.proxy.links.add(self)
        self.start(self._connect())

    async def _connect(self) -> None:
        address = _address(self.proxy.upstream)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: self._server, *address)
        except (OSError, TimeoutError):
            self.end()

    def toxics_of(self, stream: str) -> list[Toxic]:
        return [toxic for toxic in self.proxy.toxics.values() if toxic.stream == stream and self._luck < toxic.toxicity]

    def touched(self) -> None:
        for stream in ("upstream", "downstream"):
            for toxic in self.toxics_of(stream):
                if toxic.type == "reset_peer":
                    self.proxy.count(toxic, applied=True)
                    self.start(self.reset(toxic))

    async def reset(self, toxic: Toxic) -> bool:
        """Reset the client's connection after the toxic's time-out; always False."""
        await asyncio.sleep(toxic.attributes["timeout"] / 1000)
        if client := self.client.transport:
            client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.abort()
        self.end()
        return False

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """Close both connections; what was written already is still sent."""
        self.has_ended = True
        self.proxy.links.discard(self)
        for end in (self.client, self._server):
            if end.transport:
                end.transport.close()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()


class _End(asyncio.Protocol):
    """The connection at one end of a link: what `reads` it receives, and what `writes` it sends."""

    transport: asyncio.Transport | None = None

    def __init__(self, reads: Direction, writes: Direction) -> None:
        self._reads, self._writes = reads, writes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._reads.source = self._writes.target = self.transport
        self._reads.update()
        self._writes.update()
        if self._writes.source is None:
            self._reads.link.open()

    def data_received(self, data: bytes) -> None:
        self._reads.feed(data)

    def eof_received(self) -> bool:
        self._reads.feed(b"")
        return True  # the link closes the connection, perhaps later

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - its signature
        self._reads.feed(b"")

    def pause_writing(self) -> None:
        self._writes.writable.clear()
        self._writes.update()

    def resume_writing(self) -> None:
        self._writes.writable.set()
        self._writes.update()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)
