"""One order is one trace, from its request to the call to the payment provider: real processes on real servers."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
import requests

from common.messaging.events import new_id
from common.observability.spans import COMPLAIN_SECONDS
from common.storage.migrations import upgrade
from common.tests.otlp_receiver import Collector, Received
from common.tests.ports import free_port
from common.tests.sample_service import KEY, KID, VERIFIER, bearer
from infrastructure.processes import process
from infrastructure.sandbox.tests.process import KEY as STRIPE_KEY
from infrastructure.sandbox.tests.process import SandboxProcess
from services.inventory.main import Settings as InventorySettings
from services.inventory.main import create_app as create_inventory
from workers.topology.main import declare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
SECONDS = 90.0
CONTEXTS = ("inventory", "orders", "payments")
# A slow commit or answer would be a failed span, and its event would be handled twice.
PATIENCE = {"DATABASE_TIMEOUT_SECONDS": "60", "STRIPE_TIMEOUT_SECONDS": "30", "SERVICE_WAIT_SECONDS": "60"}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Shop:
    """The processes on an order's path, started like in the process table."""

    def __init__(self, databases: dict[str, str], broker_url: str, sandbox: SandboxProcess, jwks_url: str) -> None:
        self._databases = databases
        self._port = free_port()
        self._values = {
            "RABBITMQ_URL": broker_url,
            "OUTBOX_DATABASE_URLS": json.dumps(databases),
            "JWKS_URL": jwks_url,
            "STRIPE_API_KEY": STRIPE_KEY,
            "STRIPE_API_BASE": sandbox.url,
            "RETRY_ATTEMPTS": "3",
            "LOG_LEVEL": "INFO",
        }

    @contextmanager
    def running(self, log: Path, **variables: str) -> Iterator[None]:
        names = ("service-orders", "worker-inventory", "worker-orders", "worker-payments", "relay-1")
        with log.open("ab") as output, ExitStack() as stacked:
            for name in names:
                stacked.enter_context(self._process(name, output, variables))
            eventually(lambda: requests.get(f"{self._url}/readyz", timeout=2).ok)
            yield

    @contextmanager
    def _process(self, name: str, output: Any, variables: dict[str, str]) -> Iterator[None]:
        line = process(name)
        values = self._values | variables | {"SERVICE_PORT": str(self._port), "METRICS_PORT": str(free_port())}
        values["DATABASE_URL"] = self._databases.get(line.context, "")
        environment = {each: values[each] for each in line.environment if each in values}
        command = [sys.executable, *line.command[1:]]
        environment |= PATIENCE | {"PATH": os.environ["PATH"]}
        started = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield
        finally:
            started.terminate()
            try:
                assert started.wait(SECONDS) == 0
            finally:
                started.kill()

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def list_product(self) -> None:
        """List a product from this process, which records no spans."""
        settings = InventorySettings(
            database_url=self._databases["inventory"],
            database_timeout_seconds=60,
            jwks_url="http://127.0.0.1:1/",
            log_level="WARNING",
        )
        app = create_inventory(settings, verifier=VERIFIER)
        body = {"sku": "TEA", "name": "Tea", "price": {"amount": 450, "currency": "usd"}, "on_hand": 10}
        headers = bearer(role="operator") | {"Idempotency-Key": "tea"}
        assert app.test_client().post("/api/v1/products", json=body, headers=headers).status_code == 201
        app.extensions["context"].dispose()

    def order(self, **headers: str) -> str:
        """Place an order as soon as the product can be ordered; returns its id."""
        body = {"items": [{"sku": "TEA", "quantity": 1}], "payment_method": "pm_card_visa"}
        placed: list[str] = []

        def place() -> bool:
            known = bearer() | {"Idempotency-Key": new_id()} | headers
            # A second request would be a second order of the trace.
            reply = requests.post(f"{self._url}/api/v1/orders", json=body, headers=known, timeout=SECONDS)
            if reply.status_code != 422:
                placed.append(reply.json()["id"])
            return bool(placed)

        eventually(place)
        return placed[0]

    def is_confirmed(self, order_id: str) -> bool:
        reply = requests.get(f"{self._url}/api/v1/orders/{order_id}", headers=bearer(), timeout=5)
        return bool(reply.json()["status"] == "confirmed")

    def is_reported(self) -> bool:
        """Whether the relay has published every event."""
        for url in self._databases.values():
            with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM outbox")
                if cursor.fetchall() != [(0,)]:
                    return False
        return True


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            if condition():
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def shop(database: Callable[[], str], vhost: str, tmp_path: Path) -> Iterator[Shop]:
    databases = {context: database() for context in CONTEXTS}
    for context, url in databases.items():
        upgrade(context, url)
    declare(vhost, wait_seconds=60)
    sandbox = SandboxProcess(tmp_path / "sandbox").start()
    with published_key() as jwks_url:
        made = Shop(databases, vhost, sandbox, jwks_url)
        made.list_product()
        yield made
    sandbox.terminate()


@contextmanager
def published_key() -> Iterator[str]:
    """Serves the public key that these tests sign with, in place of the users service."""
    x = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
    body = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KID, "x": x}]})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    server.server_close()


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_an_order_is_one_trace_from_its_request_to_the_provider(shop: Shop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Collector() as collector:
        with shop.running(log, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url):
            order_id = shop.order(traceparent=PARENT)
            eventually(lambda: shop.is_confirmed(order_id) and shop.is_reported())
        # All processes have ended and have exported their last spans.
        trace = [span for span in collector.spans if span.trace_id == PARENT.split("-")[1]]
    request = _only(trace, "POST /api/v1/orders", below=PARENT.split("-")[2], status=202)
    assert (request.service, request.kind) == ("orders", "server")
    _only(trace, "publish order.placed.v1", below=request.span_id)
    reserve = _only(trace, "process order.placed.v1", below=request.span_id, service="worker-inventory")
    remember = _only(trace, "process order.placed.v1", below=request.span_id, service="worker-payments")
    _only(trace, "process stock.reserved.v1", below=reserve.span_id, service="worker-orders")
    last = _only(trace, "process stock.reserved.v1", below=reserve.span_id, service="worker-payments")
    # The provider is called by the handler of the later one.
    parents = {span.parent_id for span in trace if span.name == "payment_provider create"}
    capture = remember if remember.span_id in parents else last
    for call in ("create", "confirm"):
        span = _only(trace, f"payment_provider {call}", below=capture.span_id)
        assert (span.kind, span.failed) == ("client", False)
        assert capture.started_ns <= span.started_ns <= span.ended_ns <= capture.ended_ns
    confirm = _only(trace, "process payment.captured.v1", below=capture.span_id, service="worker-orders")
    _only(trace, "publish order.confirmed.v1", below=confirm.span_id)
    assert [span.name for span in trace if span.failed] == []
    lines = [line for line in lines_of(log) if line.get("trace_id") == request.trace_id]
    assert ("request", request.span_id) in {(line["event"], line["span_id"]) for line in lines}


def test_an_order_is_confirmed_without_a_collector(shop: Shop, tmp_path: Path) -> None:
    with Collector() as gone:
        away = gone.url
    for variables in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": away}):
        log = tmp_path / f"log{len(variables)}"
        began = time.monotonic()
        with shop.running(log, **variables):
            order_id = shop.order(traceparent=PARENT)
            eventually(lambda order_id=order_id: shop.is_confirmed(order_id))  # type: ignore[misc]  # mypy infers no type for a lambda's default
        lines = lines_of(log)
        assert {"request"} <= {line["event"] for line in lines if line.get("trace_id") == PARENT.split("-")[1]}
        services_with_loss = [line["service"] for line in lines if "trace collector" in line["event"]]
        times = 1 + (time.monotonic() - began) // COMPLAIN_SECONDS
        assert all(count <= times for count in Counter(services_with_loss).values())
        assert bool(services_with_loss) == bool(variables)


def test_a_sampling_ratio_of_zero_records_no_span(shop: Shop, tmp_path: Path) -> None:
    variables = {"OTEL_TRACES_SAMPLER_ARG": "0"}
    with Collector() as collector:
        with shop.running(tmp_path / "log", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **variables):
            unseen = shop.order()
            seen = shop.order(traceparent=PARENT)
            eventually(lambda: shop.is_confirmed(unseen) and shop.is_confirmed(seen))
        orders = {span.attributes.get("holdfast.order_id") for span in collector.spans}
    assert (seen in orders, unseen in orders) == (True, False)
    assert {span.trace_id for span in collector.spans if span.kind == "server"} == {PARENT.split("-")[1]}


def _only(
    trace: list[Received], name: str, *, below: str, service: str | None = None, status: int | None = None
) -> Received:
    found = [
        span
        for span in trace
        if (span.name, span.parent_id) == (name, below)
        and service in (None, span.service)
        and status in (None, span.attributes.get("http.response.status_code"))
    ]
    assert len(found) == 1, (name, [(span.name, span.service, span.parent_id) for span in trace])
    return found[0]
