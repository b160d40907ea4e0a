"""Ends a wait of pika's event loop as soon as another socket is readable."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def watched(connection: Any, socket: int | None) -> Iterator[Callable[[], bool]]:
    """Let the loop of `connection` also watch `socket`; yields whether it became readable. Without either it does
    nothing.
    """
    ready: list[int] = []
    if connection is None or socket is None:
        yield lambda: False
        return
    loop = connection.ioloop

    def stop(readable: int, _events: int) -> None:
        ready.append(readable)
        loop.stop()

    loop.add_handler(socket, stop, loop.READ)
    try:
        yield lambda: bool(ready)
    finally:
        with suppress(Exception):  # a loop that was closed with its connection has no sockets
            loop.remove_handler(socket)
