"""The socket manager: `python -m infrastructure.local.socket_manager SOCKET`.

Guarantee: while a listening process is replaced, its socket stays open, so that new connections wait in the kernel for
the successor and are not refused. If a process is down for longer than `AWAY_SECONDS`, or was stopped on purpose,
connections are refused again. The socket manager itself may be killed: processes keep listening, and the next start
uses the new manager, which opens a second socket for the same address (so the first stand-in after that gets its share
of the connections before it is ready: they wait). Requests that a killed process had already accepted are lost; the
manager cannot prevent that.
"""

import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infrastructure.local.listeners import CALL_SECONDS, MESSAGE_BYTES

AWAY_SECONDS = 10.0
BACKLOG = 1024
_TICK_SECONDS = 0.2
_CREDENTIALS = struct.Struct("3i")


@dataclass
class _Kept:
    """A listening socket, its process, and when it is closed without a successor."""

    listener: socket.socket
    process: int | None = None
    closes_at: float | None = None


class SocketManager:
    """Serves at `path` until `stop`. One thread; every wait has a time-out."""

    def __init__(self, path: Path, away_seconds: float = AWAY_SECONDS) -> None:
        self._away_seconds = away_seconds
        self._selector = selectors.DefaultSelector()
        self._kept: dict[str, _Kept] = {}
        self._stopping = False
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ)

    def run(self) -> None:
        while not self._stopping:
            events = [key for key, _ in self._selector.select(_TICK_SECONDS)]
            # Handle ended processes first: a request may close their descriptor, and its number is reused.
            for key in events:
                if key.fileobj is not self._listener:
                    self._process_ended(key.data)
            if any(key.fileobj is self._listener for key in events):
                self._answer()
            self._close_expired()
        for address in list(self._kept):
            self._close(address)
        self._selector.close()
        self._listener.close()

    def stop(self, *_: object) -> None:
        self._stopping = True

    def _answer(self) -> None:
        with suppress(OSError, ValueError, KeyError):
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(CALL_SECONDS)
                question = json.loads(connection.recv(MESSAGE_BYTES))
                if "release" in question:
                    self._close(question["release"])
                    connection.send(b"closed")
                else:
                    self._hand_out(connection, question["take"])

    def _hand_out(self, connection: socket.socket, address: str) -> None:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        try:
            kept = self._kept.get(address) or _Kept(_listen(address))
        except OSError as error:
            connection.send(f"{address}: {error}".encode()[:MESSAGE_BYTES])
            return
        self._kept[address] = kept
        self._forget_process(kept)
        kept.closes_at = None
        kept.process = os.pidfd_open(_CREDENTIALS.unpack(raw)[0])
        self._selector.register(kept.process, selectors.EVENT_READ, address)
        socket.send_fds(connection, [b"yours"], [kept.listener.fileno()])

    def _process_ended(self, address: str) -> None:
        kept = self._kept[address]
        self._forget_process(kept)
        kept.closes_at = time.monotonic() + self._away_seconds

    def _close_expired(self) -> None:
        now = time.monotonic()
        for address, kept in list(self._kept.items()):
            if kept.closes_at is not None and kept.closes_at <= now:
                self._close(address)

    def _close(self, address: str) -> None:
        kept = self._kept.pop(address, None)
        if kept is not None:
            self._forget_process(kept)
            kept.listener.close()

    def _forget_process(self, kept: _Kept) -> None:
        if kept.process is not None:
            self._selector.unregister(kept.process)
            os.close(kept.process)
            kept.process = None


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    endpoint = (host, int(port))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Sockets of a killed socket manager are still in use, and cannot be obtained again: its successor
        # opens a second one for the same address; otherwise no listener could be replaced without a gap.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(endpoint)
        listener.listen(BACKLOG)
        # nginx does not change an inherited socket. If two processes wake for one connection, the second
        # would hang in accept(), with all its connections, until another connection arrives.
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def main() -> None:
    socket_manager = SocketManager(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, socket_manager.stop)
    socket_manager.run()


if __name__ == "__main__":
    main()
