"""Rows of a batch on a real table: locked by one statement, decided about one by one, written by one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from common.storage.locked_rows import LockedRows
from common.storage.postgresql import make_engine, transaction
from common.storage.statements import columns
from common.tests.query_plans import sent_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

pytestmark = pytest.mark.integration


def lock(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    query = text("SELECT key, value FROM things WHERE key = ANY(:keys) ORDER BY key FOR UPDATE")
    return {row.key: row.value for row in connection.execute(query, {"keys": list(keys)})}


def write(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    query = text("""
        UPDATE things SET value = new.value
        FROM unnest(CAST(:key AS text[]), CAST(:value AS int[])) AS new (key, value) WHERE things.key = new.key
    """)
    connection.execute(query, columns(changes, "key", "value"))


THINGS = LockedRows("things", lock, write)


def add(connection: Connection, key: str, amount: int) -> None:
    """A use case, which does not know whether it is part of a batch."""
    value = THINGS.get(connection, key)
    assert value is not None
    THINGS.change(connection, key, value + amount, {"key": key, "value": value + amount})


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    made = make_engine(database(), pool_size=2, timeout_seconds=60, name="test")
    with transaction(made) as connection:
        connection.execute(text("CREATE TABLE things (key text PRIMARY KEY, value int)"))
        connection.execute(text("INSERT INTO things VALUES ('a', 1), ('b', 2), ('c', 3)"))
    yield made
    made.dispose()


@pytest.fixture
def sent(engine: Engine) -> Iterator[list[str]]:
    with sent_statements(engine) as sent:
        yield sent


def verbs(statements: Sequence[str]) -> list[str]:
    return [statement.split()[0] for statement in statements]


def stored(engine: Engine) -> dict[str, int]:
    with transaction(engine) as connection:
        return lock(connection, ["a", "b", "c"])


def test_rows_are_locked_together_and_written_together(engine: Engine, sent: list[str]) -> None:
    with transaction(engine) as connection, THINGS.together(connection, ["c", "a", "c"]):
        for key in "aca":
            add(connection, key, 10)
    assert verbs(sent) == ["SELECT", "UPDATE"]
    assert stored(engine) == {"a": 21, "b": 2, "c": 13}


def test_a_single_row_is_locked_and_written_at_once(engine: Engine, sent: list[str]) -> None:
    with transaction(engine) as connection:
        add(connection, "a", 1)
        assert verbs(sent) == ["SELECT", "UPDATE"]
    assert stored(engine)["a"] == 2


def test_a_row_that_was_not_announced_is_locked_when_it_is_read(engine: Engine, sent: list[str]) -> None:
    with transaction(engine) as connection, THINGS.together(connection, ["a"]):
        add(connection, "b", 1)
        assert THINGS.get(connection, "nothing") is None
        assert THINGS.get(connection, "nothing") is None
    assert verbs(sent) == ["SELECT", "SELECT", "SELECT", "UPDATE"]
    assert stored(engine)["b"] == 3


def test_nothing_is_written_if_the_block_raises(engine: Engine) -> None:
    def fail(connection: Connection) -> None:
        with THINGS.together(connection, ["a"]):
            add(connection, "a", 1)
            raise ZeroDivisionError

    with transaction(engine) as connection:
        with pytest.raises(ZeroDivisionError):
            fail(connection)
        assert THINGS.get(connection, "a") == 1, "the transaction goes on without the batch"
    assert stored(engine)["a"] == 1


def test_a_statement_that_reads_the_table_sees_what_is_flushed(engine: Engine) -> None:
    with transaction(engine) as connection, THINGS.together(connection, ["a", "b"]):
        add(connection, "a", 1)
        THINGS.flush(connection)
        assert lock(connection, ["a"]) == {"a": 2}
        add(connection, "a", 1)
    assert stored(engine)["a"] == 3


def test_a_batch_without_changes_writes_nothing(engine: Engine, sent: list[str]) -> None:
    with transaction(engine) as connection, THINGS.together(connection, ["a"]):
        assert THINGS.get(connection, "a") == 1
    assert verbs(sent) == ["SELECT"]
