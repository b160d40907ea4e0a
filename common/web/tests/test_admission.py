"""More requests at once than a service can hold: a real gunicorn, whose /things/slow takes a second.

The refusals that clients see are made by `load_shedding.py`.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from common.tests.served import Answer, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 2


@contextmanager
def serving(**settings: str) -> Iterator[Server]:
    server = Server(SERVICE_THREADS=str(THREADS), LOG_LEVEL="WARNING", **settings)
    try:
        yield server
    finally:
        server.stop()


def is_a_refusal(answer: Answer) -> bool:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Request-Id"] == answer.body["request_id"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 3
    assert answer.body["instance"] == "/things/slow"
    return (answer.status, answer.body["status"], answer.body["code"]) == (503, 503, "overloaded")


def test_what_does_not_fit_the_queue_is_refused_at_once() -> None:
    with serving(SERVICE_QUEUE="4", SERVICE_WAIT_SECONDS="60") as server:
        answers = server.at_once(40, "/things/slow")
        served = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status != 200]
        assert THREADS + 4 <= len(served) < 20  # more than the capacity if the forty requests arrive over a longer time
        assert all(map(is_a_refusal, refused))
        # Most of them: a thread of this test may have its turn late.
        assert median(answer.seconds for answer in refused) < max(answer.seconds for answer in served)
        assert server.request("GET", "/things/slow") == (200, {"done": True}), "it is itself again"
        count = f'http_requests_refused_total{{reason="queue"}} {len(refused)}.0'
        assert count.encode() in server.ask("GET", "/metrics").body


def test_nobody_waits_longer_than_the_bound() -> None:
    with serving(SERVICE_QUEUE="100", SERVICE_WAIT_SECONDS="0.5") as server:
        answers = server.at_once(60, "/things/slow")
        served = [answer for answer in answers if answer.status == 200]
        assert THREADS <= len(served) < 60
        assert all(is_a_refusal(answer) for answer in answers if answer.status != 200)
        # All sixty, two at a time, would take half a minute.
        assert max(answer.at for answer in answers) - min(answer.at for answer in answers) < 20
        assert b'http_requests_refused_total{reason="wait"}' in server.ask("GET", "/metrics").body


def test_probes_are_answered_all_the_while() -> None:
    with serving(SERVICE_QUEUE="1", SERVICE_WAIT_SECONDS="60") as server, overloaded(server):
        for path in ("/livez", "/readyz", "/metrics"):
            assert server.ask("GET", path).status == 200
        assert b"http_requests_admitted" in server.ask("GET", "/metrics").body


def test_a_refusal_carries_the_requests_id_and_reads_its_body() -> None:
    with serving(SERVICE_QUEUE="1", SERVICE_WAIT_SECONDS="60") as server, overloaded(server):
        headers = {"Request_Id": "mine", "Content_Type": "application/json"}
        # One of them may just find a place.
        answers = [server.ask("POST", "/things", b"x" * 60_000, **headers).body for _ in range(5)]
        assert [answer["request_id"] for answer in answers] == ["mine"] * 5
        assert "overloaded" in [answer["code"] for answer in answers]


@contextmanager
def overloaded(server: Server) -> Iterator[None]:
    """Ten clients that want something slow, again and again: the block begins when the first was refused."""
    stop, refused = threading.Event(), threading.Event()

    def client() -> None:
        while not stop.is_set():
            if server.ask("GET", "/things/slow").status != 200:
                refused.set()
                stop.wait(0.02)

    clients = [threading.Thread(target=client) for _ in range(10)]
    for thread in clients:
        thread.start()
    try:
        assert refused.wait(60)
        yield
    finally:
        stop.set()
        for thread in clients:
            thread.join(timeout=60)
