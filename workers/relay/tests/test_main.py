"""The relay as a separate process, as its supervisor runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests
from sqlalchemy import text

from common.messaging import outbox
from common.messaging.relay import BATCH_ROWS
from common.storage.postgresql import make_engine, transaction
from common.tests.outboxes import UNROUTABLE, Outbox, QueueReader, make_event
from common.tests.ports import free_port
from common.tests.tcp_proxy import Link
from infrastructure.database_roles import RELAY, RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.integration
SECONDS = 60.0


@pytest.fixture
def boxes(database: Callable[[], str]) -> Iterator[dict[str, Outbox]]:
    made = {"orders": Outbox(database()), "payments": Outbox(database())}
    yield made
    for box in made.values():
        box.close()


@dataclass(frozen=True)
class Place:
    """The location of an outbox."""

    url: str


@contextmanager
def process(
    broker_url: str, boxes: Mapping[str, Outbox | Place], log: Path, port: int, **more: str
) -> Iterator[subprocess.Popen[bytes]]:
    environment = more | {
        "PATH": os.environ["PATH"],
        "RABBITMQ_URL": broker_url,
        # As entered by users: without the driver.
        "OUTBOX_DATABASE_URLS": json.dumps(
            {context: box.url.replace("+psycopg2", "") for context, box in boxes.items()}
        ),
        "METRICS_PORT": str(port),
        "DATABASE_TIMEOUT_SECONDS": "60",  # else a slow commit is an outage, and a batch is published twice
    }
    with log.open("ab") as output:
        relay = subprocess.Popen(
            [sys.executable, "-m", "workers.relay.main"], env=environment, stdout=output, stderr=output
        )
        try:
            yield relay
        finally:
            relay.kill()
            relay.wait(SECONDS)


def eventually(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.02)


def all_gone(boxes: Mapping[str, Outbox]) -> bool:
    return all(box.waiting() == [] for box in boxes.values())


def metrics(port: int) -> str:
    return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text


def test_the_relay_empties_every_outbox_and_releases_its_leases_on_sigterm(
    boxes: dict[str, Outbox], vhost: str, tmp_path: Path
) -> None:
    log, port = tmp_path / "log", free_port()
    with QueueReader(vhost) as reader, process(vhost, boxes, log, port) as relay:
        events = [event for box in boxes.values() for event in box.fill(20)]
        eventually(lambda: all_gone(boxes), log)
        eventually(lambda: 'holdfast_relay_published_total{database="orders"} 20.0' in metrics(port), log)
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(60) == 0, log.read_text()
        assert [box.holder() for box in boxes.values()] == [None, None]
        assert sorted(reader.read()) == sorted(event.id for event in events)


def test_the_relay_ends_on_sigint_while_the_broker_is_down(
    boxes: dict[str, Outbox], vhost: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with Link(vhost) as link, process(link.url, boxes, log, free_port()) as relay:
        link.cut()
        boxes["orders"].fill(1)
        eventually(lambda: b"cannot publish" in log.read_bytes(), log)
        relay.send_signal(signal.SIGINT)
        assert relay.wait(60) == 0, log.read_text()


def test_the_standby_takes_over_from_a_killed_relay(boxes: dict[str, Outbox], vhost: str, tmp_path: Path) -> None:
    log, box = tmp_path / "log", boxes["orders"]
    with QueueReader(vhost) as reader, process(vhost, boxes, log, free_port()) as first:
        eventually(lambda: box.holder() is not None, log)
        killed_holder = box.holder()
        with process(vhost, boxes, log, free_port()) as second:
            events = box.fill(1_000)
            first.kill()
            eventually(lambda: all_gone(boxes), log)
            events += box.fill(10)
            eventually(lambda: all_gone(boxes), log)
            assert box.holder() != killed_holder
            assert second.poll() is None
        received = reader.read()
        assert set(received) == {event.id for event in events}  # duplicates are allowed, losses are not
        assert list(dict.fromkeys(received)) == [event.id for event in events]


@pytest.mark.parametrize("point", ["relay.fetched", "relay.published", "relay.deleted"])
def test_a_relay_killed_at_any_step_loses_no_event(
    boxes: dict[str, Outbox], vhost: str, tmp_path: Path, point: str
) -> None:
    log, box = tmp_path / "log", boxes["orders"]
    only = {"orders": box}
    events = box.fill(BATCH_ROWS + 10)
    crash = {"HOLDFAST_TEST_BUILD": "1", "HOLDFAST_CRASH_POINT": f"{point}:1"}
    with QueueReader(vhost) as reader:
        with process(vhost, only, log, free_port(), **crash) as doomed:
            assert doomed.wait(SECONDS) == -signal.SIGKILL, log.read_text()
        repeated = set(reader.read()) & set(box.waiting())
        assert len(repeated) == (BATCH_ROWS if point == "relay.published" else 0)
        with transaction(box.engine) as connection:
            connection.execute(text("DELETE FROM leases"))  # its expiry is tested elsewhere: save the seconds
        with process(vhost, only, log, free_port()):
            eventually(lambda: all_gone(only), log)
        received = reader.read()
    assert list(dict.fromkeys(received)) == [event.id for event in events]
    assert len(received) >= len(events) + len(repeated)


def test_the_database_role_of_a_relay_has_sufficient_privileges(
    context_database: Callable[[str], Callable[[str], str]], vhost: str, tmp_path: Path
) -> None:
    log, url = tmp_path / "log", context_database("orders")
    engine = make_engine(url(RUNTIME), pool_size=1, timeout_seconds=60, name="test")

    def count(table: str) -> int:
        with transaction(engine) as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    event, unroutable = make_event(), make_event(event_type=UNROUTABLE)
    with transaction(engine) as connection:
        outbox.add(connection, unroutable, event)
    with QueueReader(vhost) as reader, process(vhost, {"orders": Place(url(RELAY))}, log, free_port()) as relay:
        eventually(lambda: count("outbox WHERE set_aside_at IS NULL") == 0, log)
        assert count("leases") == count("outbox") == 1
        reader.channel.queue_bind("test.events", "holdfast.events", UNROUTABLE)
        eventually(lambda: count("outbox") == 0, log)
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(60) == 0, log.read_text()
        assert reader.read() == [event.id, unroutable.id]
    assert count("leases") == 0
    engine.dispose()


def test_an_unavailable_database_does_not_delay_others(boxes: dict[str, Outbox], vhost: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with transaction(boxes["payments"].engine) as connection:
        connection.execute(text("DROP TABLE outbox"))
    with QueueReader(vhost) as reader, process(vhost, boxes, log, free_port()) as relay:
        [event] = boxes["orders"].fill(1)
        eventually(lambda: boxes["orders"].waiting() == [], log)
        assert reader.read() == [event.id]
        assert relay.poll() is None


@pytest.mark.parametrize(
    "urls",
    ["", "{", "[]", "{}", '{"orders": 1}', '{"orders": "mysql://localhost/orders"}', '{"orders": "postgres://x/y"}'],
)
def test_invalid_settings_stop_the_process_and_are_named(urls: str) -> None:
    environment = {"PATH": os.environ["PATH"], "OUTBOX_DATABASE_URLS": urls, "METRICS_PORT": "none"}
    ended = subprocess.run(
        [sys.executable, "-m", "workers.relay.main"],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 2
    assert "bad setting OUTBOX_DATABASE_URLS: " in ended.stderr
    assert "bad setting METRICS_PORT: " in ended.stderr
