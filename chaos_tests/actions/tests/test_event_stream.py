"""A reader resumes after the last complete frame, and counts how often it received each event."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from chaos_tests.actions.event_stream import EventStream
from chaos_tests.actions.evidence import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0
FRAME = 'id: {0}\ndata: {{"id":"event-{0}"}}\n\n'
PROGRESS, END = ": heartbeat\nid: 3\n\n", 'event: end\ndata: {"reason":"restart"}\n\n'


class Server(ThreadingHTTPServer):
    """Answers the connections one after the other with `replies`, then with nothing new."""

    daemon_threads = True
    replies: list[str | int]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.resumed: list[str | None] = []
        self.tokens: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.resumed.append(self.headers.get("Last-Event-ID"))
        self.server.tokens.append(self.headers.get("Authorization"))
        reply = self.server.replies.pop(0) if self.server.replies else ""
        self.send_response(reply if isinstance(reply, int) else 200)
        self.end_headers()
        if isinstance(reply, str):
            self.wfile.write(reply.encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def read(server: Server, *replies: str | int) -> EventStream:
    server.replies = list(replies)
    tokens = iter(f"token-{number}" for number in range(100))
    reader = EventStream(f"http://127.0.0.1:{server.server_address[1]}/", lambda: next(tokens))
    reader.start()
    wait_until(lambda: len(server.resumed) > len(replies), SECONDS, "all replies are read")
    reader.stop()
    return reader


def test_it_resumes_after_the_last_complete_frame(server: Server) -> None:
    torn = FRAME.format(2)[:-1]
    reader = read(server, FRAME.format(1) + torn, FRAME.format(2) + PROGRESS + END)
    assert server.resumed[:3] == [None, "1", "3"]
    assert reader.shown == {"event-1": 1, "event-2": 1}


def test_a_duplicate_event_is_counted_twice(server: Server) -> None:
    reader = read(server, FRAME.format(1), FRAME.format(1))
    assert reader.shown == {"event-1": 2}
    assert reader.connections >= 2


def test_a_rejected_token_is_replaced(server: Server) -> None:
    reader = read(server, 401, 503, FRAME.format(1))
    assert server.tokens[:3] == ["Bearer token-0", "Bearer token-1", "Bearer token-1"]
    assert reader.refused == {401: 1, 503: 1}
