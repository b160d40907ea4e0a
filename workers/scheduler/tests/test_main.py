"""The scheduler as a process, on every context's database, a broker and a payment provider."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import pytest
import requests
from sqlalchemy import Engine, text

from common.messaging import topology
from common.money import Money
from common.storage.postgresql import autocommit, make_engine
from common.tests.ports import free_port
from infrastructure.database_roles import OWNER, SCHEDULER
from services.orders import usecases
from services.orders.domain import Status
from services.orders.models import upsert_price
from services.orders.tests.builders import place, published
from workers import SAGA_CONSUMERS
from workers.scheduler.main import OUTBOXES, SWEEPS
from workers.topology.main import BINDINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pika.adapters.blocking_connection import BlockingChannel

    Start = Callable[[], AbstractContextManager["Started"]]

SECONDS = 60.0
TIMEOUT_SECONDS = 2


@pytest.fixture(scope="module")
def databases(context_database: Callable[[str], Callable[[str], str]]) -> dict[str, Callable[[str], str]]:
    return {context: context_database(context) for context in OUTBOXES}


@pytest.fixture
def urls(databases: dict[str, Callable[[str], str]]) -> dict[str, str]:
    """Each database's URL with the scheduler's role, like in an installation."""
    return {context: url(SCHEDULER) for context, url in databases.items()}


@pytest.fixture
def engine(databases: dict[str, Callable[[str], str]]) -> Iterator[Engine]:
    made = make_engine(databases["orders"](OWNER), pool_size=3, timeout_seconds=60, name="test")
    with autocommit(made) as connection:
        upsert_price(connection, sku="TEA", name="Tea", price=Money(450, "usd"), sequence=1)
    yield made
    made.dispose()


@pytest.fixture
def consumers(vhost: str) -> Iterator[BlockingChannel]:
    """Consumes every queue, so that sagas are not held up."""
    topology.declare(vhost, BINDINGS)
    parameters = pika.URLParameters(vhost)
    parameters.heartbeat = 0  # nobody serves this connection while the test waits
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    for context in SAGA_CONSUMERS:
        channel.basic_consume(topology.events_queue(context), lambda *_: None, consumer_tag=context)
    yield channel
    if connection.is_open:
        connection.close()


class Started:
    """One scheduler process."""

    def __init__(self, urls: dict[str, str], vhost: str, log: Path) -> None:
        self.port, self._log = free_port(), log
        environment = {
            "PATH": os.environ["PATH"],
            # As entered by users: without the driver.
            "DATABASE_URLS": json.dumps({name: url.replace("+psycopg2", "") for name, url in urls.items()}),
            "RABBITMQ_URL": vhost,
            "ORDER_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
            "METRICS_PORT": str(self.port),
            "DATABASE_TIMEOUT_SECONDS": "60",
        }
        with log.open("ab") as output:
            command = [sys.executable, "-m", "workers.scheduler.main"]
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples; -1 while the process does not answer."""
        try:
            lines = requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=60).text.splitlines()
        except requests.ConnectionError:
            return -1
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def eventually(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, self._log.read_text()[-3000:]
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            time.sleep(0.05)


@pytest.fixture
def start(urls: dict[str, str], vhost: str, tmp_path: Path) -> Start:
    """Run a scheduler until the end of the block."""

    @contextmanager
    def run() -> Iterator[Started]:
        started = Started(urls, vhost, tmp_path / "log")
        try:
            yield started
        finally:
            started.process.kill()
            started.process.wait(SECONDS)

    return run


def reading(engine: Engine) -> float:
    return clock(engine)[0]


def clock(engine: Engine) -> tuple[float, float]:
    """The reading of the saga clock, and when it ticked last."""
    query = text("SELECT active_seconds, extract(epoch FROM ticked_at) FROM saga_clock")
    with autocommit(engine) as connection:
        active, ticked_at = connection.execute(query).one()
    return float(active), float(ticked_at)


def await_tick(engine: Engine, started: Started) -> None:
    before = clock(engine)[1]
    started.eventually(lambda: clock(engine)[1] > before)


def status(engine: Engine, order_id: str) -> Status:
    return usecases.get_order(engine, order_id, customer_id=None).status


def publish_all(engine: Engine) -> None:
    """Publish like the relay: otherwise the outbox lags, and sagas are held up."""
    with autocommit(engine) as connection:
        connection.execute(text("DELETE FROM outbox"))


@pytest.mark.integration
def test_the_saga_clock_stops_during_an_outage_and_resumes(
    engine: Engine, consumers: BlockingChannel, start: Start
) -> None:
    with start() as first:
        first.eventually(lambda: reading(engine) > 0)

        consumers.basic_cancel("payments")  # the worker is down, or paused because the payment provider is down
        first.eventually(lambda: first.metric("holdfast_held_up") == 1)
        await_tick(engine, first)  # this tick may have begun before the outage was found
        await_tick(engine, first)
        order = place(engine)
        stopped_at = reading(engine)
        time.sleep(TIMEOUT_SECONDS + 2)
        assert reading(engine) == stopped_at
        assert status(engine, order) is Status.PENDING

        publish_all(engine)
        consumers.basic_consume(topology.events_queue("payments"), lambda *_: None)
        first.eventually(lambda: status(engine, order) is Status.CANCELLED)
        (cancelled,) = published(engine, order)
        assert (cancelled.data["reason"], cancelled.sequence) == ("timed_out", 2)
        # Counted after the order is cancelled.
        first.eventually(lambda: first.metric('holdfast_sweep_found_total{context="orders",sweep="time-outs"}') == 1)
        first.eventually(lambda: first.metric("holdfast_sweep_last_success_timestamp_seconds{") > 0)
        publish_all(engine)

        first.eventually(lambda: first.metric("holdfast_held_up") == 0)
        with start() as second:
            second.eventually(lambda: second.metric("holdfast_sweep_seconds_count") >= 0)
            (active, ticked_at), sweeps = clock(engine), sum(len(sweeps) for sweeps in SWEEPS.values())
            time.sleep(3)
            # A standby may have taken over a sweep from a scheduler that paused, but no two run the same one.
            second.eventually(lambda: sum(each.metric("holdfast_sweep_active") for each in (first, second)) == sweeps)
            active_now, ticked_now = clock(engine)
            assert active_now - active <= ticked_now - ticked_at + 0.001  # the time is not counted twice
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(60) == 0
            second.eventually(lambda: second.metric("holdfast_sweep_active") == sweeps)
            second.process.send_signal(signal.SIGINT)
            assert second.process.wait(60) == 0
    with autocommit(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM leases")).scalar_one() == 0


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URLS": "{}"}
    ended = subprocess.run(
        [sys.executable, "-m", "workers.scheduler.main"],
        env=environment, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "DATABASE_URLS" in ended.stderr
    assert "payments" in ended.stderr


def test_no_two_sweeps_of_a_context_share_a_lease() -> None:
    for sweeps in SWEEPS.values():
        assert len({sweep.name for sweep in sweeps}) == len(sweeps)
        assert all(sweep.every_seconds >= 1 for sweep in sweeps)
