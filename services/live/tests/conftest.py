"""A live process on a real MongoDB, and clients that read its streams."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from common.messaging.events import new_id, utc_now
from common.storage.document_migrations import upgrade
from common.storage.mongodb import connect
from common.tests.ports import free_port
from common.tests.sample_service import KEY, KID, bearer
from services.archive import migrations, models
from services.archive.event_log import EventLog
from services.archive.tests.event_samples import CUSTOMER, placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymongo.database import Database

    from infrastructure.local.sharing import Servers

SECONDS = 60.0


class Live:
    """One process of the live service."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # A stalled server is not an outage of the archive.
        patient = {"MONGODB_TIMEOUT_SECONDS": "60"}
        self._environment = patient | environment | {"SERVICE_PORT": str(self.port), "PATH": os.environ["PATH"]}
        self._log = log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.live.main"], env=self._environment, stdout=output, stderr=output
            )

    def wait_until_ready(self) -> None:
        """Until it follows the archive and has fetched the keys that verify tokens, which it does not wait for long."""
        self._wait_for("/readyz", 200)
        self._wait_for("/api/v1/orders/none/events", 404)

    def _wait_for(self, path: str, status: int) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                if requests.get(self.url + path, headers=bearer(), timeout=SECONDS).status_code == status:
                    return
            except requests.ConnectionError:
                pass
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@pytest.fixture(scope="session")
def jwks_url() -> Iterator[str]:
    """The keys of the sample service's tokens, served over HTTP."""
    x = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
    body = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x}]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def database(document_store: str) -> Iterator[Database[dict[str, Any]]]:
    database = connect(document_store, timeout_seconds=60, name="test", pool_size=8)
    upgrade(migrations, database, wait_seconds=60)
    yield database
    database.client.close()


@pytest.fixture
def log(database: Database[dict[str, Any]]) -> EventLog:
    """The archive that the process reads, written like the archive worker does."""
    return EventLog(database)


@pytest.fixture
def start(document_store: str, log: EventLog, jwks_url: str, tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Start a live process with settings of the test, and wait until it is ready."""
    assert log is not None  # the indexes exist
    started: list[Live] = []

    def start(mongodb_url: str = document_store, **settings: Any) -> Live:
        environment = {"MONGODB_URL": mongodb_url, "JWKS_URL": jwks_url} | {k: str(v) for k, v in settings.items()}
        started.append(Live(environment, tmp_path / "live.log"))
        started[-1].wait_until_ready()
        return started[-1]

    yield start
    for live in started:
        live.kill()


@dataclass(frozen=True)
class OneOrder:
    """A process on an archive with one event, the first of an order of `CUSTOMER`."""

    live: Live
    order_id: str


@pytest.fixture(scope="session")
def one_order(servers: Servers, jwks_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneOrder]:
    """Shared by tests that archive and stop nothing, because starting a process takes longer than such a test."""
    url = servers.mongodb_url.replace("/archive?", f"/test_{secrets.token_hex(8)}?")
    order_id = new_id()
    database = connect(url, timeout_seconds=60, name="test", pool_size=1)
    with closing(database.client) as client:
        upgrade(migrations, database, wait_seconds=60)
        event = models.event_document(placed(order_id), customer_id=CUSTOMER, received_at=utc_now())
        assert EventLog(database).append(event)
        live = Live({"MONGODB_URL": url, "JWKS_URL": jwks_url}, tmp_path_factory.mktemp("live") / "live.log")
        try:
            live.wait_until_ready()
            yield OneOrder(live, order_id)
        finally:
            live.kill()
            client.drop_database(database.name)


class Reading:
    """A client's stream: the frames as (id, data), without comments and settings."""

    def __init__(self, reply: requests.Response) -> None:
        self.lines: Iterator[str] = reply.iter_lines(chunk_size=None, decode_unicode=True)
        self.last_id: str | None = None
        self._frames = self._read()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each frame with data: its `event`, `id` and parsed `data`. Ends with the stream."""
        return self._frames

    def take(self, count: int) -> list[dict[str, Any]]:
        return [next(self._frames) for _ in range(count)]

    def _read(self) -> Iterator[dict[str, Any]]:
        frame: dict[str, Any] = {"event": "message"}
        for line in self.lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            if line == "":
                if "data" in frame:
                    yield frame | {"id": self.last_id, "data": json.loads(frame["data"])}
                frame = {"event": "message"}
            elif name:
                frame[name] = value


@contextmanager
def reading(live: Live, path: str, headers: dict[str, str], last_id: str | None = None) -> Iterator[Reading]:
    """Open a stream; fails unless the response is 200 with an event stream."""
    if last_id is not None:
        headers = headers | {"Last-Event-ID": last_id}
    with requests.get(live.url + path, headers=headers, stream=True, timeout=SECONDS) as reply:
        assert reply.status_code == 200, reply.text
        assert reply.headers["Content-Type"].startswith("text/event-stream")
        yield Reading(reply)
