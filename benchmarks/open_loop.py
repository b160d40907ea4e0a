"""An open loop: requests are sent at a fixed rate, independent of the response times.

A latency counts from the scheduled time of the request, so a stalled server is charged for every request that waits
(no coordinated omission). Connections are opened as they are needed, up
to a bound; beyond it a request waits for one, and that wait counts as well.
"""

from __future__ import annotations

import selectors
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from holdfast.bench.load import STALL_SECONDS, Connection, Result

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CONNECTIONS = 512


@dataclass(slots=True)
class _Pending:
    connection: Connection
    due_at: float


def run(url: str, request: Callable[[], bytes], *, rate: float, seconds: float) -> Result:
    """Send `rate` requests per second for `seconds`, and wait for the last response."""
    return _OpenLoop(url, request).run(rate, max(1, round(rate * seconds)))


class _OpenLoop:
    def __init__(self, url: str, request: Callable[[], bytes]) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._request, self._result = request, Result()
        self._selector = selectors.DefaultSelector()
        self._free: list[Connection] = []
        self._opened = self._busy = 0

    def run(self, rate: float, count: int) -> Result:
        started = time.perf_counter()
        sent = 0
        while sent < count or self._busy:
            due_at = started + sent / rate
            now = time.perf_counter()
            if sent < count and due_at <= now and (connection := self._connection()):
                self._send(connection, due_at)
                sent += 1
                continue
            is_waiting_for_time = sent < count and due_at > now
            if not self._take(due_at - now if is_waiting_for_time else STALL_SECONDS) and not is_waiting_for_time:
                raise TimeoutError(f"no answer within {STALL_SECONDS:.0f} s")
        self._result.seconds = time.perf_counter() - started
        for connection in self._free:
            connection.socket.close()
        self._selector.close()
        return self._result

    def _connection(self) -> Connection | None:
        if self._free:
            return self._free.pop()
        if self._opened >= MAX_CONNECTIONS:
            return None
        self._opened += 1
        return Connection(self._address)

    def _send(self, connection: Connection, due_at: float) -> None:
        connection.send(self._request())
        self._selector.register(connection.socket, selectors.EVENT_READ, _Pending(connection, due_at))
        self._busy += 1

    def _take(self, seconds: float) -> bool:
        """Receive the responses within `seconds`; returns whether there were any."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            pending: _Pending = key.data
            status = pending.connection.status()
            if status is not None:
                self._answered(pending, status)
        return bool(ready)

    def _answered(self, pending: _Pending, status: int) -> None:
        self._result.latencies_seconds.append(time.perf_counter() - pending.due_at)
        self._result.statuses[status] = self._result.statuses.get(status, 0) + 1
        self._selector.unregister(pending.connection.socket)
        self._busy -= 1
        if b"connection: close" in pending.connection.received.partition(b"\r\n\r\n")[0].lower():
            pending.connection.socket.close()
            self._opened -= 1
        else:
            self._free.append(pending.connection)
