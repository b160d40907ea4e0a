"""The life cycle of a stack's servers: up, up again, killed, up, moved, down. Slow (about a minute): real servers."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import psycopg2
import pytest
from click.testing import CliRunner
from pymongo import MongoClient

from common.messaging import topology
from holdfast.cli import main
from infrastructure.local import proctable
from infrastructure.local.errors import StackError
from infrastructure.local.ports import free_port_base, is_free, listening_offsets
from infrastructure.local.readiness import wait_for
from infrastructure.local.stack import Stack
from infrastructure.local.startup import Extent

if TYPE_CHECKING:
    from infrastructure.local.progress import Step

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "home", free_port_base(tmp_path))
    yield stack
    stack.down(delete_data=True)
    assert not stack.is_running


def connected(stack: Stack) -> pika.BlockingConnection:
    parameters = pika.URLParameters(stack.urls.rabbitmq)
    parameters.connection_attempts = 3  # a broker that has just started on a busy machine may end its first handshake
    return pika.BlockingConnection(parameters)


def leave_a_mark(stack: Stack) -> None:
    connection = psycopg2.connect(stack.urls.database("orders").replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE mark AS SELECT 42 AS value")
    connection.close()
    with MongoClient[dict[str, int]](stack.urls.documents("archive")) as client:
        client.get_default_database().mark.insert_one({"value": 42})
    broker = connected(stack)
    channel = broker.channel()
    channel.confirm_delivery()
    topology.declare(stack.urls.rabbitmq, {"mark": ["mark.left.v1"]}, settle_seconds=topology.SETTLE_SECONDS)
    channel.basic_publish(
        topology.EVENTS.name, "mark.left.v1", b"42", pika.BasicProperties(delivery_mode=2), mandatory=True
    )
    broker.close()


def assert_the_mark_is_there(stack: Stack) -> None:
    connection = psycopg2.connect(stack.urls.database("orders").replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT value FROM mark")
        assert cursor.fetchall() == [(42,)]
    connection.close()
    with MongoClient[dict[str, int]](stack.urls.documents("archive")) as client:
        assert [found["value"] for found in client.get_default_database().mark.find()] == [42]
    # A queue elects a new leader, which takes longer than the broker's time-out on a busy machine.
    wait_for(lambda: assert_the_message_is_there(stack), 60, "the queue did not come back")


def assert_the_message_is_there(stack: Stack) -> None:
    broker = connected(stack)
    try:
        _, _, body = broker.channel().basic_get("mark.events")
        assert body == b"42"
    finally:
        if broker.is_open:
            broker.close()


def pids(stack: Stack) -> dict[str, int | None]:
    return {name: stack.pid(name) for name in ("epmd", "postgres", "rabbitmq", "mongodb")}


def open_to_others(home: Path) -> list[str]:
    return [entry.name for entry in home.iterdir() if entry.stat().st_mode & 0o077]


def test_a_stack_survives_restarts_kills_and_a_move(own_stack: Stack) -> None:
    own_stack.up(Extent.SERVERS)
    assert open_to_others(own_stack.home.path) == []
    leave_a_mark(own_stack)
    first = pids(own_stack)
    assert all(first.values())

    own_stack.up(Extent.SERVERS)
    assert pids(own_stack) == first, "a second up restarts nothing"

    everything = [found.pid for found in proctable.stack_processes(own_stack.home)]
    assert len(everything) >= 5
    for pid in everything:
        with suppress(ProcessLookupError):  # it has ended with its parent
            os.kill(pid, signal.SIGKILL)
    own_stack.up(Extent.SERVERS)
    assert_the_mark_is_there(own_stack)

    supervisor = proctable.recorded(proctable.supervisor_record(own_stack.home))
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    assert not own_stack.is_running
    notes: list[Step] = []
    own_stack.up(Extent.SERVERS, progress=notes.append)
    assert any("a crash has left running" in str(step) for step in notes)
    assert_the_mark_is_there(own_stack)

    moved = Stack(own_stack.home.path, free_port_base(own_stack.home.path / "elsewhere"))
    with pytest.raises(StackError, match="stop it before moving it"):
        moved.up(Extent.SERVERS)
    own_stack.down()
    moved.up(Extent.SERVERS)
    assert_the_mark_is_there(moved)

    status = CliRunner().invoke(main, ["status", "--json", "--home", str(own_stack.home.path)])
    assert status.exit_code == 1, "the services do not run"
    states = {process["name"]: process["state"] for process in json.loads(status.output)["processes"]}
    assert states["postgres"] == "running"
    assert states["service-orders"] == "stopped"

    moved.down()
    assert proctable.stack_processes(moved.home) == []
    assert all(is_free(moved.home.port_base + offset) for offset in listening_offsets())


def test_single_processes_are_stopped_started_and_killed(own_stack: Stack) -> None:
    own_stack.up(Extent.SERVERS)
    before = own_stack.pid("mongodb")
    own_stack.kill("mongodb")
    own_stack.stop("postgres")
    own_stack.up(Extent.SERVERS)
    assert own_stack.pid("mongodb") not in {None, before}
    own_stack.stop("postgres")
    assert own_stack.pid("postgres") is None
    with pytest.raises(StackError, match="postgres does not run"):
        own_stack.kill("postgres")
    with pytest.raises(StackError, match="no process nonsense"):
        own_stack.stop("nonsense")

    # Only the process that cannot start is named, with the end of its log.
    (own_stack.home.data("mongodb") / "data" / "storage.bson").write_text("not what it was")
    own_stack.kill("mongodb")
    with pytest.raises(
        StackError, match=r"mongodb is not ready: .*exits after each start(.|\n)*mongodb\.log"
    ) as failure:
        own_stack.up(Extent.SERVERS)
    assert "postgres is not ready" not in str(failure.value)
