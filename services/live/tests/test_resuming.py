"""A client that resumes with Last-Event-ID sees every event once after any failure.

`hub.py`, `stream.py`, `history.py`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from common.messaging.events import new_id
from common.tests.tcp_proxy import Link
from services.archive.tests.event_samples import happening, placed
from services.live.tests.conftest import SECONDS, Live, reading
from services.live.tests.test_api import ALL, MINE, OPERATOR, archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.archive.event_log import EventLog

pytestmark = pytest.mark.integration
EVENTS = 300


class Client(threading.Thread):
    """Follows a stream like a browser: reconnects with its last id until it has received enough events."""

    def __init__(self, live: Live, path: str, headers: dict[str, str], count: int) -> None:
        super().__init__(daemon=True)
        self._live, self._path, self._headers, self._count = live, path, headers, count
        self.seen: list[str] = []
        self.connections = 0
        self._last_id = "0"

    def run(self) -> None:
        while len(self.seen) < self._count:
            try:
                self._follow()
            except (requests.RequestException, AssertionError):
                time.sleep(0.1)

    def _follow(self) -> None:
        with reading(self._live, self._path, self._headers, last_id=self._last_id) as stream:
            self.connections += 1
            for frame in stream:
                self._last_id = frame["id"]
                if frame["event"] == "message":
                    self.seen.append(frame["data"]["id"])
                    if len(self.seen) == self._count:
                        return


def write(log: EventLog, pause: Callable[[int], None]) -> list[str]:
    """Archive the events of several orders; some arrive before their order. Returns their ids."""
    written: list[str] = []
    for number in range(EVENTS // 3):
        order = new_id()
        events = [placed(order), happening(orderid=order, sequence=2), happening(orderid=order, sequence=3)]
        if number % 4 == 0:
            events = events[1:] + events[:1]
        archive(log, *events)
        written += [event.id for event in events]
        pause(number)
    return written


def wait_for_one_stream(live: Live) -> None:
    deadline = time.monotonic() + SECONDS
    while "holdfast_live_streams 1.0" not in requests.get(f"{live.url}/metrics", timeout=SECONDS).text:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("headers", [MINE, OPERATOR], ids=["customer", "operator"])
def test_a_stream_resumed_after_kills_delivers_every_event_once(
    start: Callable[..., Live], log: EventLog, headers: dict[str, str]
) -> None:
    live = start()
    client = Client(live, ALL, headers, EVENTS)
    client.start()

    def kill_now_and_then(number: int) -> None:
        if number % 25 == 20:
            while client.connections <= number // 25:  # each kill ends a connection
                time.sleep(0.01)
            live.kill()
            live.start()
            live.wait_until_ready()
        time.sleep(0.005)

    written = write(log, kill_now_and_then)
    client.join(120)
    assert sorted(client.seen) == sorted(written)
    assert client.connections > 2


def test_a_stream_resumes_after_an_archive_outage(
    start: Callable[..., Live], log: EventLog, document_store: str
) -> None:
    with Link(document_store) as link:
        live = start(link.url, MONGODB_TIMEOUT_SECONDS=1)
        client = Client(live, ALL, MINE, EVENTS)
        client.start()

        def cut_now_and_then(number: int) -> None:
            if number == 30:
                link.cut()
            if number == 60:
                link.restore()
            if number == 80:
                link.freeze()
            time.sleep(0.01)

        written = write(log, cut_now_and_then)
        deadline = time.monotonic() + SECONDS
        while requests.get(f"{live.url}/readyz", timeout=SECONDS).status_code != 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        reply = requests.get(live.url + ALL, headers=MINE, timeout=SECONDS)
        assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
        assert int(reply.headers["Retry-After"]) >= 1
        assert "holdfast_live_archive_up 0.0" in requests.get(f"{live.url}/metrics", timeout=SECONDS).text
        assert requests.get(f"{live.url}/livez", timeout=SECONDS).status_code == 200
        link.restore()
        client.join(120)
        assert sorted(client.seen) == sorted(written)
        live.kill()


def test_streams_end_when_the_process_stops(start: Callable[..., Live], log: EventLog) -> None:
    live, ends = start(), list[Any]()

    def follow() -> None:
        with reading(live, ALL, MINE) as stream:
            ends.extend(stream)

    client = threading.Thread(target=follow)
    client.start()
    wait_for_one_stream(live)
    assert live.stop() == 0
    client.join(SECONDS)
    assert [(frame["event"], frame["data"]) for frame in ends] == [("end", {"reason": "restart"})]


def test_a_client_that_stops_reading_is_disconnected_without_affecting_others(
    start: Callable[..., Live], log: EventLog
) -> None:
    live = start(LIVE_BUFFER=20, LIVE_SEND_SECONDS=10)  # the quick one may stall for a moment
    large = {"text": "x" * 100_000}
    with reading(live, ALL, OPERATOR) as slow, reading(live, ALL, OPERATOR) as quick:
        written = []
        for _ in range(150):
            event = happening(orderid=new_id(), data=large)
            archive(log, event)
            written.append(event.id)
            assert [frame["data"]["id"] for frame in quick.take(1)] == [event.id]
        wait_for_one_stream(live)
        with pytest.raises((requests.RequestException, StopIteration, RuntimeError)):
            slow.take(151)
    metrics = requests.get(f"{live.url}/metrics", timeout=SECONDS).text
    assert "holdfast_live_streams_ended_total" in metrics
