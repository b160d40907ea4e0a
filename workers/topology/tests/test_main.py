"""The topology job as a process, against a real RabbitMQ, read back through its management API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
import requests

from common.messaging import topology
from common.tests.tcp_proxy import Link
from workers.orders.consumers import HANDLERS as ORDERS
from workers.topology.main import BINDINGS, declare

if TYPE_CHECKING:
    from infrastructure.local.sharing import Servers

WORKERS = Path(__file__).parents[2]
SECONDS = 120.0  # longer than the job itself waits for the broker


def run_job(broker_url: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "RABBITMQ_URL": broker_url}
    return subprocess.Popen(
        [sys.executable, "-m", "workers.topology.main"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def listing(servers: Servers, vhost: str, what: str) -> list[dict[str, Any]]:
    name = quote(urlsplit(vhost).path[1:], safe="")
    answer = requests.get(f"{servers.rabbitmq_management_url}/api/{what}/{name}", timeout=60)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


def test_every_consuming_context_is_declared() -> None:
    consuming = {path.parent.name for path in WORKERS.glob("*/consumers.py")}
    assert set(BINDINGS) == consuming


def test_it_waits_for_new_queues_to_be_persisted(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def declared(*_: object, settle_seconds: float) -> list[str]:
        given.append(settle_seconds)
        return []

    monkeypatch.setattr(topology, "declare", declared)
    declare("amqp://nobody", wait_seconds=0)
    assert given == [topology.SETTLE_SECONDS]
    assert topology.SETTLE_SECONDS >= 1  # measured: lost when killed after 0.1 s, kept after 1 s


@pytest.mark.integration
def test_it_declares_every_queue_and_only_the_bindings_of_the_handlers(servers: Servers, vhost: str) -> None:
    for _ in range(2):  # it is idempotent
        output, _error = run_job(vhost).communicate(timeout=SECONDS)
    assert f"orders.events receives {', '.join(sorted(ORDERS))}" in output
    queues = {queue["name"]: queue for queue in listing(servers, vhost, "queues")}
    delay_queues = {f"holdfast.retry.{seconds}s" for seconds in topology.RETRY_DELAYS_SECONDS}
    assert set(queues) == {f"{context}.events" for context in BINDINGS} | delay_queues | {"operations.dead-letters"}
    assert {queue["type"] for queue in queues.values()} == {"quorum"}
    bound: dict[str, set[str]] = {}
    for binding in listing(servers, vhost, "bindings"):
        if binding["source"] == "holdfast.events":
            bound.setdefault(binding["destination"], set()).add(binding["routing_key"])
    assert bound == {f"{context}.events": set(types) for context, types in BINDINGS.items()}


@pytest.mark.integration
def test_it_waits_for_a_starting_broker(vhost: str) -> None:
    with Link(vhost) as link:
        link.cut()
        job = run_job(link.url)
        time.sleep(2.0)
        assert job.poll() is None
        link.restore()
        output, _error = job.communicate(timeout=SECONDS)
    assert job.returncode == 0, output
    assert "declared orders.events" in output


@pytest.mark.integration
def test_an_unreachable_broker_is_reported_in_time(vhost: str) -> None:
    with Link(vhost) as link:
        link.cut()
        started = time.monotonic()
        with pytest.raises(ConnectionError):
            declare(link.url, wait_seconds=1.0)
        assert time.monotonic() - started < 60
