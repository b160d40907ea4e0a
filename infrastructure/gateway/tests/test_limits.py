"""The gateway under too many and too slow requests, and in front of a killed service."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from infrastructure.gateway.render import Limits
from infrastructure.gateway.routes import SERVICES
from infrastructure.gateway.tests.upstreams import Front, Upstream, eventually, problem, start
from infrastructure.local.home import open_home
from infrastructure.local.ports import free_port_base

pytestmark = pytest.mark.integration

SLOW_CLIENTS = 200
ORDERS = "/api/v1/orders"
HALF_A_HEAD = b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF_A_BODY = b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"


@contextmanager
def limited(place: Path, limits: Limits) -> Iterator[Front]:
    front = Front(open_home(place / "home", free_port_base(place)))
    front.upstreams = {name: Upstream(name, front.home.port(f"service-{name}")) for name in SERVICES}
    with start(front.home, limits) as process:
        eventually(lambda: front.get("/livez"))
        try:
            yield front
        finally:
            process.terminate()
            for upstream in front.upstreams.values():
                upstream.stop()


def at_once(front: Front, count: int) -> list[requests.Response]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: front.get(ORDERS), range(count)))


def is_rate_limited(reply: requests.Response) -> bool:
    return (
        problem(reply)["code"] == "rate_limited" and reply.status_code == 429 and int(reply.headers["Retry-After"]) > 0
    )


def test_an_address_that_sends_too_many_requests_is_limited(tmp_path: Path) -> None:
    with limited(tmp_path, Limits(requests_per_second=1, requests_burst=10)) as front:
        began = time.monotonic()
        replies = at_once(front, 60)
        seconds = time.monotonic() - began  # each of them admits one more
        refused = [reply for reply in replies if reply.status_code != 200]
        assert 5 <= len(replies) - len(refused) <= 20 + seconds
        assert all(map(is_rate_limited, refused))


def test_an_address_with_too_many_connections_is_limited(tmp_path: Path) -> None:
    with limited(tmp_path, Limits(connections=8)) as front, ExitStack() as opened:
        clients: list[socket.socket] = []

        def refused() -> None:
            # Open others each time: nginx gives up the earlier ones after ten seconds.
            clients.extend(opened.enter_context(slow_client(front, HALF_A_BODY)) for _ in range(20))
            reply = front.get(ORDERS)
            assert reply.status_code == 429
            assert is_rate_limited(reply)

        eventually(refused)
        for client in clients:
            client.close()
        eventually(lambda: front.get(ORDERS).raise_for_status())


def test_concurrent_requests_to_a_service_are_limited(tmp_path: Path) -> None:
    with limited(tmp_path, Limits(requests_per_service=4)) as front:
        front.upstreams["orders"].may_answer.clear()
        with ThreadPoolExecutor(40) as pool:
            requested = [pool.submit(front.get, ORDERS) for _ in range(40)]
            deadline = time.monotonic() + 15  # nginx waits for an answer a little longer
            while sum(each.done() for each in requested) < 36 and time.monotonic() < deadline:
                time.sleep(0.05)
            front.upstreams["orders"].may_answer.set()
            replies = [each.result() for each in requested]
        assert Counter(reply.status_code for reply in replies) == {200: 4, 503: 36}
        refused = [reply for reply in replies if reply.status_code == 503]
        assert {problem(reply)["code"] for reply in refused} == {"service_unavailable"}
        assert {reply.headers["Retry-After"] for reply in refused} == {"1"}
        assert front.upstreams["orders"].seen == 4
        assert front.get("/api/v1/products").status_code == 200


def test_slow_clients_do_not_delay_others(tmp_path: Path) -> None:
    with limited(tmp_path, Limits()) as front, ExitStack() as opened:
        clients = [
            opened.enter_context(slow_client(front, HALF_A_HEAD if number % 2 else HALF_A_BODY))
            for number in range(SLOW_CLIENTS)
        ]
        for _ in range(3):
            assert {reply.status_code for reply in at_once(front, 20)} == {200}
            for client in clients:
                with suppress(ConnectionError):  # nginx may have given up one that is too slow
                    client.sendall(b"x")
            time.sleep(0.2)
        assert front.upstreams["orders"].seen == 60, "none of the slow ones has reached the service"


def test_an_unfinished_request_times_out(tmp_path: Path) -> None:
    with limited(tmp_path, Limits()) as front, slow_client(front, HALF_A_HEAD) as client:
        client.settimeout(60)
        with suppress(ConnectionResetError):
            reply = client.recv(65536)
            assert not reply or reply.startswith(b"HTTP/1.1 408")


@contextmanager
def slow_client(front: Front, first: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", front.home.port("gateway")), timeout=60) as connection:
        connection.sendall(first)
        yield connection


def test_an_order_is_retried_after_its_service_was_killed(tmp_path: Path) -> None:
    with limited(tmp_path, Limits()) as front:
        orders = front.upstreams["orders"]
        orders.cut_once = True
        reply = front.get(ORDERS, method="POST", json={}, headers={"Idempotency-Key": "k"})
        assert (reply.status_code, orders.seen) == (200, 2)
