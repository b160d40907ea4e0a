"""A snapshot of a system in which some processes answer, some hang and some send malformed data, and its view."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from services.operations import monitoring
from services.operations.monitoring import CACHE_SECONDS, Monitor, Sample, Snapshot
from services.operations.system import system_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

RELAY = b"""# TYPE holdfast_relay_active gauge
holdfast_relay_active{database="orders"} 1.0
# TYPE holdfast_outbox_oldest_seconds gauge
holdfast_outbox_oldest_seconds{database="orders"} 4.5
# TYPE holdfast_outbox_rows gauge
holdfast_outbox_rows{database="orders"} 7.0
"""
QUEUES = [{"name": "orders.events", "messages": 3, "messages_ready": 2, "messages_unacknowledged": 1, "consumers": 1}]
NOTHING_SET_ASIDE = {"set_aside_rows": None, "set_aside_seconds": None}


class Fake(ThreadingHTTPServer):
    """Returns the configured response of each path; None hangs."""

    daemon_threads = True

    def __init__(self, answers: dict[str, bytes | None]) -> None:
        self.answers, self.request_count, self.over = answers, 0, threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Fake

    def do_GET(self) -> None:
        self.server.request_count += 1
        body = self.server.answers[self.path.partition("?")[0]]
        if body is None:
            self.server.over.wait(120)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def serving(answers: dict[str, bytes | None]) -> Iterator[Fake]:
    server = Fake(answers)
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


def test_sources_that_do_not_answer_are_unknown_and_delay_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only the source that hangs takes so long, and the snapshot is still kept after that.
    monkeypatch.setattr(monitoring, "POLL_SECONDS", 10.0)
    monkeypatch.setattr(monitoring, "REQUEST_SECONDS", (9.0, 9.0))
    monkeypatch.setattr(monitoring, "CACHE_SECONDS", 600.0)
    answers: dict[str, bytes | None] = {
        "/relay": RELAY,
        "/hangs": None,
        "/nonsense": b"\xff\xfe",
        "/api/queues": json.dumps(QUEUES).encode(),
    }
    with serving(answers) as server:
        urls = {name: f"{server.url}/{name}" for name in ("relay", "hangs", "nonsense")}
        monitor = Monitor({**urls, "gone": "http://127.0.0.1:1/metrics"}, server.url)
        started = time.monotonic()
        snapshot = monitor.snapshot()
        assert time.monotonic() - started < 60  # the one that hangs does so for 120 s
        view = system_view(snapshot, monitor.processes, [], None, has_broker=monitor.has_broker)
        request_count = server.request_count
        assert monitor.snapshot() is snapshot
        assert server.request_count == request_count
    assert view["unanswered"] == ["hangs", "nonsense", "gone"]
    [outbox] = view["outboxes"]
    assert outbox == {"database": "orders", "relay": "relay", "seconds": 4.5, "rows": 7} | NOTHING_SET_ASIDE
    assert [(queue["name"], queue["messages"], queue["ready"]) for queue in view["queues"]] == [("orders.events", 3, 2)]
    assert {worker["name"]: worker["alive"] for worker in view["workers"]} == {
        "relay": True,
        "hangs": False,
        "nonsense": False,
        "gone": False,
    }


def test_a_dead_process_keeps_its_last_seen_time_and_queues_are_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "POLL_SECONDS", 60.0)
    monkeypatch.setattr(monitoring, "REQUEST_SECONDS", (60.0, 60.0))
    with serving({"/relay": RELAY, "/api/queues": json.dumps(QUEUES).encode()}) as server:
        monitor = Monitor({"relay": f"{server.url}/relay"}, server.url)
        first = monitor.snapshot()
        server.answers["/relay"] = b"\xff"
        time.sleep(CACHE_SECONDS + 0.1)
        second = monitor.snapshot()
    assert first.not_empty_seconds == {"orders.events": 0.0}
    assert second.not_empty_seconds["orders.events"] > CACHE_SECONDS
    assert ("relay" in second.metrics, second.last_seen["relay"]) == (False, first.at)


def test_without_answers_all_data_is_unknown() -> None:
    snapshot = Monitor({"relay": "http://127.0.0.1:1/"}, "http://127.0.0.1:1").snapshot()
    view = system_view(snapshot, ["relay"], None, None, has_broker=True)
    assert view["unanswered"] == ["relay", "rabbitmq", "mongodb"]
    empty = ("queues", "dead_letters", "held_up", "standing_cases", "last_reconciliation_at")
    assert [view[name] for name in empty] == [None] * 5
    assert (view["outboxes"], view["breakers"], view["sweeps"]) == ([], [], [])


def test_last_reconciliation_is_that_of_the_oldest_sweep() -> None:
    def view(*compared: tuple[str, str, float]) -> object:
        name = "holdfast_reconciliation_last_success_timestamp_seconds"
        metrics = {
            process: [Sample(name, {"context": "payments", "sweep": sweep}, at)] for process, sweep, at in compared
        }
        snapshot = Snapshot("2026-11-02T10:00:00.000000Z", metrics, None, {})
        return system_view(snapshot, list(metrics), [], None, has_broker=False)["last_reconciliation_at"]

    settled = ("scheduler-1", "settle", 2_000_000_000)
    assert view(settled) == "2033-05-18T03:33:20.000000Z"
    assert view(settled, ("scheduler-2", "settle", 1_000_000_000)) == "2033-05-18T03:33:20.000000Z"
    assert view(settled, ("scheduler-2", "ask-about-overdue", 1_000_000_000)) == "2001-09-09T01:46:40.000000Z"
    assert view(settled, ("scheduler-2", "ask-about-overdue", 0)) is None  # never completed


def test_undecided_events_are_summed_over_all_worker_instances() -> None:
    def worker(items: float, oldest: float) -> list[Sample]:
        labels = {"consumer": "payments"}
        return [
            Sample("holdfast_undecided_items", labels, items),
            Sample("holdfast_undecided_oldest_seconds", labels, oldest),
        ]

    def view(*workers: list[Sample]) -> object:
        metrics = {f"worker-payments-{number}": samples for number, samples in enumerate(workers)}
        snapshot = Snapshot("2026-11-02T10:00:00.000000Z", metrics, None, {})
        return system_view(snapshot, list(metrics), [], None, has_broker=False)["undecided"]

    assert view(worker(0, 0)) == []
    assert view(worker(2, 30), worker(1, 4000)) == [{"consumer": "payments", "items": 3, "oldest_seconds": 4000}]


def test_the_largest_outbox_lag_is_shown_while_no_relay_can_publish() -> None:
    def relay(active: float, seconds: float, rows: float, set_aside: float) -> list[Sample]:
        values = {
            "holdfast_relay_active": active,
            "holdfast_outbox_oldest_seconds": seconds,
            "holdfast_outbox_rows": rows,
            "holdfast_outbox_set_aside_rows": set_aside,
            "holdfast_outbox_set_aside_seconds": 10 * set_aside,
        }
        return [Sample(name, {"database": "orders"}, value) for name, value in values.items()]

    for active in (0, 1):
        metrics = {"relay-1": relay(active, 0.2, 3, 0), "relay-2": relay(0, 61.5, 1_200, 4)}
        snapshot = Snapshot("2026-11-02T10:00:00.000000Z", metrics, None, {})
        [outbox] = system_view(snapshot, list(metrics), [], None, has_broker=False)["outboxes"]
        assert outbox == {
            "database": "orders",
            "relay": "relay-1" if active else None,
            "seconds": 61.5,
            "rows": 1_200,
            "set_aside_rows": 4,
            "set_aside_seconds": 40,
        }


def test_breakers_and_sweeps_of_several_processes_are_merged() -> None:
    labels = {"context": "payments", "sweep": "settle"}
    name = "holdfast_sweep_last_success_timestamp_seconds"
    metrics = {
        "scheduler-1": [
            Sample("holdfast_sweep_active", labels, 0),
            Sample(name, labels, 2_000_000_000),
            Sample("holdfast_reconciliation_last_success_timestamp_seconds", labels, 2_000_000_000),
            Sample("holdfast_held_up", {}, 1),
            Sample("holdfast_breaker_state", {"breaker": "payment_provider"}, 2),
        ],
        "scheduler-2": [Sample("holdfast_sweep_active", labels, 1), Sample(name, labels, 1_000_000_000)],
        "worker-orders": [Sample("holdfast_worker_subscribed", {"consumer": "orders"}, 0)],
        "relay-1": [Sample("holdfast_relay_active", {"database": "orders"}, 0)],
        "service-payments": [
            Sample("holdfast_standing_cases", {}, 2),
            Sample("holdfast_standing_case_oldest_seconds", {}, 90.5),
        ],
    }
    snapshot = Snapshot("2026-11-02T10:00:00.000000Z", metrics, None, {})
    view = system_view(snapshot, list(metrics), [], None, has_broker=False)
    [sweep] = view["sweeps"]
    assert (sweep["scheduler"], sweep["last_success_at"]) == ("scheduler-2", "2033-05-18T03:33:20.000000Z")
    assert view["last_reconciliation_at"] == sweep["last_success_at"]
    assert view["held_up"] is True
    assert view["standing_cases"] == {"count": 2, "oldest_seconds": 90.5}
    assert view["breakers"] == [{"process": "scheduler-1", "breaker": "payment_provider", "state": "open"}]
    assert [worker["subscribed"] for worker in view["workers"]] == [None, None, False, None, None]
    [outbox] = view["outboxes"]
    assert outbox == {"database": "orders", "relay": None, "seconds": None, "rows": None} | NOTHING_SET_ASIDE
    assert view["unanswered"] == []
