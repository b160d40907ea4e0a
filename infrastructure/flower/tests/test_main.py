"""A real Flower on a real broker with only Flower's privileges: its access control and its metrics."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from celery import Celery

from common.tests.ports import free_port
from infrastructure.local.readiness import request_here, wait_for
from infrastructure.local.sharing import Servers

PASSWORD = "open-sesame"
SECONDS = 60.0


@pytest.fixture(scope="module")
def flower(servers: Servers) -> Iterator[int]:
    """The port of a running Flower."""
    port = free_port()
    account = f"flower:{servers.broker_passwords['flower']}@"
    process = subprocess.Popen(
        [sys.executable, "-m", "infrastructure.flower.main"],
        env={
            "PATH": os.environ["PATH"],
            "SERVICE_PORT": str(port),
            "FLOWER_BASIC_AUTH": f"flower:{PASSWORD}",
            "RABBITMQ_URL": f"amqp://{account}{servers.rabbitmq_url.rpartition('@')[2]}",
            "RABBITMQ_MANAGEMENT_URL": f"http://{account}{servers.rabbitmq_management_url.rpartition('@')[2]}",
        },
    )
    try:
        wait_for(
            lambda: request_here("GET", f"http://127.0.0.1:{port}/healthcheck", SECONDS).raise_for_status(), SECONDS, ""
        )
        yield port
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.integration
def test_the_pages_require_the_password(flower: int) -> None:
    for path in ("/", "/tasks", "/broker", "/api/workers", "/api/tasks"):
        assert request_here("GET", f"http://127.0.0.1:{flower}{path}", SECONDS).status_code == 401
        assert request_here("GET", f"http://flower:wrong@127.0.0.1:{flower}{path}", SECONDS).status_code == 401
        assert request_here("GET", f"http://flower:{PASSWORD}@127.0.0.1:{flower}{path}", SECONDS).status_code == 200


@pytest.mark.integration
def test_metrics_require_no_token(flower: int) -> None:
    assert "flower_worker_online" in request_here("GET", f"http://127.0.0.1:{flower}/metrics", SECONDS).text


def heartbeat(servers: Servers, worker: str, **fields: object) -> None:
    """The heartbeat that a worker sends every two seconds."""
    app = Celery(broker=servers.rabbitmq_url, set_as_current=False)
    with app.connection() as connection, app.events.Dispatcher(connection, hostname=worker) as dispatcher:
        dispatcher.send("worker-heartbeat", **fields)


@pytest.mark.integration
def test_a_worker_is_shown_by_its_own_events(flower: int, servers: Servers) -> None:
    worker = f"orders@{secrets.token_hex(4)}"
    url = f"http://flower:{PASSWORD}@127.0.0.1:{flower}"

    def shown() -> None:
        heartbeat(servers, worker, freq=2, active=1, processed=7, loadavg=[0.5, 0.5, 0.5], sw_ident="py-celery")
        assert worker in request_here("GET", f"{url}/workers?json=1", SECONDS).text

    wait_for(shown, SECONDS, "the worker is not shown")
    page = request_here("GET", f"{url}/worker/{worker}", SECONDS)
    assert page.status_code == 200
    assert "py-celery" in page.text
    assert request_here("GET", f"{url}/worker/nobody@here", SECONDS).status_code == 404
    known = request_here("GET", f"{url}/api/workers?refresh=1", SECONDS).json()
    assert known[worker]["stats"]["total"] == {"processed": 7}


@pytest.mark.integration
def test_the_pages_change_nothing(flower: int) -> None:
    url = f"http://flower:{PASSWORD}@127.0.0.1:{flower}"
    for path in ("worker/shutdown/orders@here", "task/revoke/1", "task/send-task/holdfast.handle"):
        assert request_here("POST", f"{url}/api/{path}", SECONDS).status_code in {403, 405}


def test_flower_does_not_start_without_settings() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "infrastructure.flower.main"],
        check=False,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 2
    assert "bad setting" in answer.stderr
