"""More requests at once than a service can hold: a real gunicorn, whose /things/slow takes a second.

The refusals that clients see are made by `overload.py`.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
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


def test_what_does_not_fit_the_queue_is_refused_before_the_rest_is_answered() -> None:
    with serving(SERVICE_QUEUE="4", SERVICE_WAIT_SECONDS="60") as server:
        answers = server.at_once(40, "/things/slow")
        served = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status != 200]
        assert len(served) == THREADS + 4
        assert all(map(is_a_refusal, refused))
        last_served = max(answer.at for answer in served)
        assert max(answer.at for answer in refused) < last_served
        assert server.request("GET", "/things/slow") == (200, {"done": True}), "it is itself again"
        assert b'http_requests_refused_total{reason="queue"} 34.0' in server.ask("GET", "/metrics").body


def test_nobody_waits_longer_than_the_bound() -> None:
    with serving(SERVICE_QUEUE="100", SERVICE_WAIT_SECONDS="0.5") as server:
        answers = server.at_once(20, "/things/slow")
        served = [answer for answer in answers if answer.status == 200]
        assert THREADS <= len(served) < 20
        assert all(is_a_refusal(answer) for answer in answers if answer.status != 200)
        # Twenty one after the other, two at a time, would be ten seconds.
        assert max(answer.at for answer in answers) - min(answer.at for answer in answers) < 5
        assert b'http_requests_refused_total{reason="wait"}' in server.ask("GET", "/metrics").body


def test_probes_are_answered_all_the_while() -> None:
    with serving(SERVICE_QUEUE="1", SERVICE_WAIT_SECONDS="60") as server:
        load = threading.Thread(target=server.at_once, args=(20, "/things/slow"))
        load.start()
        time.sleep(0.4)
        for path in ("/livez", "/readyz", "/metrics"):
            assert server.ask("GET", path).status == 200
        assert b"http_requests_admitted 3.0" in server.ask("GET", "/metrics").body
        assert server.ask("GET", "/things/slow").status == 503, "the load is still there"
        load.join(timeout=30)


def test_a_refused_request_with_a_body_leaves_the_connection_usable() -> None:
    with serving(SERVICE_QUEUE="1", SERVICE_WAIT_SECONDS="60") as server:
        load = threading.Thread(target=server.at_once, args=(10, "/things/slow"))
        load.start()
        time.sleep(0.4)
        refused = server.ask("POST", "/things", b"x" * 60_000, Request_Id="mine", Content_Type="application/json")
        assert (refused.status, refused.body["code"], refused.body["request_id"]) == (503, "overloaded", "mine")
        load.join(timeout=30)
