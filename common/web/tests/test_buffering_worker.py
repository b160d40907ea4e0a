"""Clients that are slow, silent or many, on a real service process with two threads."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from common.tests.served import COMMAND, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW_CLIENTS = 50
SECONDS = 60
HEAD = b"GET /things/slow HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = b"POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 6000\r\n\r\n{"
CHUNKS = b"POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {HEAD: b"a", BODY: b" ", CHUNKS: b"1\r\n \r\n"}
PAGE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
READY = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server(SERVICE_CLIENT_SECONDS="60")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """One that gives a client half a second for its request."""
    running = Server(SERVICE_CLIENT_SECONDS="0.5")
    yield running
    running.stop()


@contextmanager
def connected(server: Server, first: bytes = b"", *, receive_buffer: int = 0) -> Iterator[socket.socket]:
    with socket.socket() as connection:
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(SECONDS)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(first)
        yield connection


def read_all(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The one reply of a connection that the server closes: status, headers, body."""
    text = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            text += chunk
    return parse(text)


def parse(text: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = text.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def is_problem(reply: tuple[int, dict[str, str], bytes], status: int, code: str) -> dict[str, Any]:
    """Assert that the reply is this problem, complete, on a connection that ends; return the document."""
    headers, document = reply[1], json.loads(reply[2])
    assert (reply[0], document["status"], document["code"]) == (status, status, code)
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Connection"] == "close"
    assert headers["Request-Id"] == document["request_id"]
    assert headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = document
    return found


def receive(connection: socket.socket, *, until: bytes) -> bytes:
    text = b""
    while not text.endswith(until):
        chunk = connection.recv(1)
        assert chunk, text
        text += chunk
    return text


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def dripping(clients: list[socket.socket], drip: bytes, *, may_end: bool = False) -> Iterator[None]:
    """All `clients` send `drip` again and again while the block runs; with `may_end`, until the server hangs up."""
    stop = threading.Event()

    def run() -> None:
        with suppress(*[ConnectionError] * may_end):
            while not stop.wait(0.1):
                for client in clients:
                    client.sendall(drip)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("first", [HEAD, BODY, CHUNKS, b""], ids=["head", "body", "chunks", "silence"])
def test_slow_requests_hold_no_thread(server: Server, first: bytes) -> None:
    with ExitStack() as opened:
        clients = [opened.enter_context(connected(server, first)) for _ in range(SLOW_CLIENTS)]
        with dripping(clients, DRIPS.get(first, b"")):
            for _ in range(5):
                answer = server.ask("POST", "/things", json.dumps({"name": "a"}), Content_Type="application/json")
                assert (answer.status, answer.body) == (201, {"name": "a"})


def test_clients_that_do_not_read_their_replies_hold_no_thread(server: Server) -> None:
    with ExitStack() as opened:
        for _ in range(SLOW_CLIENTS):
            opened.enter_context(connected(server, PAGE * 8, receive_buffer=4096))
        for _ in range(5):
            assert server.request("GET", "/livez")[0] == 200


def test_a_reply_that_does_not_fit_the_sockets_buffer_arrives_whole(server: Server) -> None:
    with connected(server, PAGE + LIVE, receive_buffer=4096) as client:
        head = parse(receive(client, until=b"\r\n\r\n"))
        left = int(head[1]["Content-Length"])
        assert left > 1_000_000
        while left:
            left -= len(client.recv(min(left, 65536)))
        assert parse(receive(client, until=b"\r\n\r\n"))[0] == 200, "the connection continues after it"


def test_clients_that_keep_a_closed_connection_open_block_nothing(server: Server) -> None:
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with ExitStack() as opened:
        clients = [opened.enter_context(connected(server, last)) for _ in range(SLOW_CLIENTS)]
        began = time.monotonic()
        assert {read_all(client)[0] for client in clients} == {200}
        assert server.request("GET", "/livez")[0] == 200
        assert time.monotonic() - began < SLOW_CLIENTS, "each is not waited for in turn, for two seconds"


def test_more_connections_than_there_is_room_for_do_not_shut_others_out(server: Server) -> None:
    for first in (HEAD, LIVE):
        with ExitStack() as opened:
            for _ in range(700):
                opened.enter_context(connected(server, first))
            assert server.request("GET", "/livez")[0] == 200
            assert b"http_connections_closed_total 0.0" not in server.ask("GET", "/metrics").body


def test_a_worker_that_was_full_of_requests_accepts_again_when_it_has_served_one() -> None:
    room = 2 + 1 + 256
    with ExitStack() as opened:
        server = Server([*COMMAND[:-1], "common.tests.sample_service:make_app_with_a_slow_check()"], SERVICE_QUEUE="1")
        opened.callback(server.stop)
        for _ in range(5):  # for both threads, the queue and both threads that reject
            opened.enter_context(connected(server, READY))
        for _ in range(room):
            opened.enter_context(connected(server, LIVE))
        assert server.request("GET", "/livez")[0] == 200


@pytest.mark.parametrize("first", [HEAD, BODY, CHUNKS], ids=["head", "body", "chunks"])
def test_a_request_that_does_not_arrive_in_time_is_408(strict: Server, first: bytes) -> None:
    with connected(strict, first.replace(b"Host: x", b"Host: x\r\nRequest-Id: mine")) as client:
        document = is_problem(read_all(client), 408, "request_timeout")
        assert document["request_id"] == "mine"
        assert document["instance"] == first.split()[1].decode()


def test_slow_bytes_do_not_extend_the_time_limit(strict: Server) -> None:
    with connected(strict, HEAD) as client, dripping([client], b"a", may_end=True):
        is_problem(read_all(client), 408, "request_timeout")


def test_a_connection_that_says_nothing_is_closed(strict: Server) -> None:
    with connected(strict) as client:
        assert client.recv(1) == b""


def test_a_reply_that_is_not_read_in_time_is_cut(strict: Server) -> None:
    with connected(strict, PAGE * 8, receive_buffer=4096) as client:
        eventually(lambda: b"http_connections_open 1.0" in strict.ask("GET", "/metrics").body)
        received = 0
        with suppress(ConnectionResetError):
            while chunk := client.recv(65536):
                received += len(chunk)
        assert received < 8 * 1_000_000


def test_requests_one_behind_the_other_are_answered_in_turn(server: Server) -> None:
    body = json.dumps({"name": "a"}).encode()
    post = b"POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    last = LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connected(server, LIVE + post % len(body) + body + b"\r\n" + last) as client:
        status, _, rest = read_all(client)
        assert status == 200
        assert rest.count(b"HTTP/1.1 ") == 2
        assert rest.count(b"HTTP/1.1 201 ") == 1


def test_a_client_that_waits_for_100_continue_gets_it_once(server: Server) -> None:
    body = json.dumps({"name": "a"}).encode()
    with connected(server, BODY[:-1].replace(b"6000", b"%d\r\nExpect: 100-Continue" % len(body))) as client:
        assert receive(client, until=b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert parse(receive(client, until=b"\r\n\r\n"))[0] == 201


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    with connected(server, BODY[:-1].replace(b"6000", b"66000\r\nExpect: 100-continue")) as client:
        status, headers, text = read_all(client)
        assert (status, json.loads(text)["code"], headers["Connection"]) == (413, "body_too_large", "close")


def test_sigterm_lets_a_request_arrive_and_waits_for_no_idle_client() -> None:
    server = Server(SERVICE_CLIENT_SECONDS="60")
    body = json.dumps({"name": "a"}).encode()
    with connected(server) as idle, connected(server, BODY[:-1].replace(b"6000", b"%d" % len(body))) as client:
        eventually(lambda: server.request("GET", "/livez")[0] == 200)
        stopped = threading.Thread(target=server.stop)
        began = time.monotonic()
        stopped.start()
        time.sleep(1)
        client.sendall(body)
        status, headers, text = read_all(client)
        assert (status, json.loads(text), headers["Connection"]) == (201, {"name": "a"}, "close")
        assert idle.recv(1) == b""
        stopped.join(timeout=SECONDS)
        assert time.monotonic() - began < 18  # gunicorn would end the wait for an idle client after 20 s
    assert server.process.returncode == 0
