"""The workload process starts, stops on request, and always leaves a complete history."""

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from chaos_tests.actions.evidence import wait_until
from chaos_tests.runners.checker.operations import gather
from chaos_tests.runners.history import Fault, History, read
from chaos_tests.runners.workload.process import Workload

SYSTEM = {
    "outboxes": [{"database": "orders", "rows": 2, "seconds": 0.5}],
    "queues": [{"name": "orders.events", "messages": 3}],
    "breakers": [{"process": "worker-payments", "breaker": "provider", "state": "open"}],
    "held_up": False,
    "unanswered": [],
    "dead_letters": [],
}


class Shop(BaseHTTPRequestHandler):
    """Accepts everything: enough of the API for a client."""

    protocol_version = "HTTP/1.1"
    keys: ClassVar[dict[str, dict[str, Any]]] = {}

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path.endswith("/orders"):
            key = self.headers["Authorization"] + self.headers["Idempotency-Key"]
            known = self.keys.get(key)
            order = known or {"id": str(uuid.uuid4()), "status": "pending", "version": 1, "total": {"amount": 1}}
            self.keys[key] = order
            self.answer(202, order, replayed=known is not None)
        elif self.path.endswith("/cancel"):
            self.answer(200, {"id": self.path.split("/")[-2], "status": "cancelled", "version": 2})
        elif self.path.endswith("/tokens"):
            self.answer(200, {"access_token": uuid.uuid4().hex})
        else:
            self.answer(201, {"id": str(uuid.uuid4()), "api_key": "k", **body})

    def do_GET(self) -> None:
        if self.path.endswith("/system"):
            self.answer(200, SYSTEM)
        elif "/products/" in self.path:
            numbers = dict.fromkeys(("on_hand", "available", "version"), 1) | {"reserved": 0, "sold": 0}
            self.answer(200, {"sku": self.path.split("/")[-1], **numbers})
        elif self.path.split("?")[0].endswith(("/orders", "/timeline")):
            self.answer(200, {"data": []})
        else:
            self.answer(200, {"id": self.path.split("/")[-1], "status": "confirmed", "version": 2})

    def answer(self, status: int, document: dict[str, Any], *, replayed: bool = False) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        if replayed:
            self.send_header("Idempotent-Replayed", "true")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect, which is intended."""


@pytest.fixture
def shop() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def workload(shop: Server, history: Path, *arguments: str) -> Workload:
    url = f"http://127.0.0.1:{shop.server_port}"
    given = ["--url", url, "--rabbitmq-management", url, "--seed", "7", "--timeout", "1", *arguments]
    return Workload(history, given, {"HOLDFAST_PASSWORD": "secret"})


def test_the_workload_stops_on_request(shop: Server, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"

    def is_under_way() -> bool:
        known = gather(read(path))
        return known.counts["place", "ok"] > 20 and bool(known.samples)

    with workload(shop, path, "--clients", "3", "--rate", "30", "--seconds", "600") as running:
        History(path).fault(Fault("tea spilled", 1.0, 2.0))
        wait_until(is_under_way, 60.0, "orders are placed, and a sample is taken")
        assert running.wait(0) is None
    assert not running.is_running
    known = gather(read(path))
    assert known.torn == 0
    assert known.end is not None
    assert known.end["reason"] == "asked"
    assert known.counts["place", "ok"] > 20
    assert [fault.name for fault in known.faults] == ["tea spilled"]
    assert known.samples


def test_the_workload_ends_after_enough_accepted_orders(shop: Server, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with workload(shop, path, "--clients", "2", "--orders", "40") as running:
        assert running.wait(120.0) == 0
    known = gather(read(path))
    assert known.end is not None
    assert known.end["reason"] == "orders"
    assert len({key for purchase in known.purchases.values() for key in purchase.ids}) >= 40
    assert all(len(purchase.ids) <= 1 for purchase in known.purchases.values())


def test_the_history_is_complete_after_an_outage(shop: Server, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with workload(shop, path, "--clients", "2", "--rate", "20", "--seconds", "3") as running:
        shop.shutdown()
        shop.socket.close()
        assert running.wait(120.0) == 0
    known = gather(read(path))
    assert known.end is not None
    assert known.end["reason"] == "seconds"
    assert known.counts["place", "fail"] + known.counts["place", "info"] > 0
    assert not any(None in (sent, at) for purchase in known.purchases.values() for sent, at, *_ in purchase.attempts)


def test_a_failed_start_is_reported(tmp_path: Path) -> None:
    running = Workload(tmp_path / "history.jsonl", ["--home", str(tmp_path / "nothing")])
    with pytest.raises(RuntimeError, match="No stack runs"):
        running.start()
