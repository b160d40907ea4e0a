"""Migrations on a real server, run as the job is run: a process per context."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError

from common.storage import migrations
from common.storage.postgresql import make_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration
SECONDS = 120


def connect(url: str) -> Engine:
    return make_engine(url, pool_size=5, timeout_seconds=60, name="test")


def _start(*arguments: str, url: str | None) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"]} | ({"DATABASE_URL": url} if url else {})
    command = [sys.executable, "-m", "common.storage.migrations", *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _run(*arguments: str, url: str | None) -> tuple[int, str]:
    with _start(*arguments, url=url) as process:
        out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out + err


def test_several_at_once_and_again(database: Callable[[], str]) -> None:
    url = database()
    processes = [_start("users", url=url) for _ in range(3)]
    outputs = [process.communicate(timeout=SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert _run("users", url=url)[0] == 0
    engine = connect(url)
    with engine.connect() as connection:
        assert {"users", "api_keys", "outbox", "idempotency_replies"} <= set(inspect(connection).get_table_names())
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
    engine.dispose()


def test_a_missing_variable_names_itself() -> None:
    code, output = _run("users", url=None)
    assert code == 2
    assert "DATABASE_URL" in output


def test_without_a_context_it_says_how_to_call_it(database: Callable[[], str]) -> None:
    code, output = _run(url="postgresql+psycopg2://u:p@127.0.0.1:1/x")
    assert code == 1
    assert "usage" in output


ENV = "from common.storage.migrations import run\n\nrun()\n"
FIRST = """
from alembic import op

revision, down_revision = "1", None


def upgrade() -> None:
    op.execute("CREATE TABLE things (id bigint PRIMARY KEY)")
"""
SECOND = """
from alembic import op

revision, down_revision = "2", "1"


def upgrade() -> None:
    op.execute("ALTER TABLE things ADD COLUMN colour text")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS things_by_colour ON things (colour)")
"""


INDEX_ALONE = """
from alembic import op

revision, down_revision = "2", "1"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS things_by_id ON things (id)")
"""


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Callable[[], str]) -> str:
    """A database at the first migration of a context of two."""
    versions = tmp_path / "versions"
    versions.mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (versions / "first.py").write_text(FIRST)
    monkeypatch.setattr(migrations, "_directory", lambda _: tmp_path)
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(migrations, "LOCK_TRIES", 300)  # for longer than a test holds the lock
    monkeypatch.setattr(migrations, "LOCK_PAUSE_SECONDS", 0.2)
    url = database()
    migrations.upgrade("things", url)
    (versions / "second.py").write_text(SECOND)
    return url


def test_a_migration_that_waits_for_its_lock_keeps_others_waiting_no_longer_than_that(things: str) -> None:
    engine = connect(things)
    with engine.connect() as reader, ThreadPoolExecutor(1) as executor:
        reader.execute(text("SELECT count(*) FROM things"))  # its transaction stays open, with a lock on the table
        migrating = executor.submit(migrations.upgrade, "things", things)
        slowest = 0.0
        for _ in range(20):
            started = time.monotonic()
            with engine.connect() as other:
                other.execute(text("SELECT count(*) FROM things"))
            slowest = max(slowest, time.monotonic() - started)
            time.sleep(0.05)
        assert not migrating.done()
        reader.rollback()
        migrating.result(timeout=60)
    assert slowest < 30  # the statement's own bound is a minute
    with engine.connect() as connection:
        assert "colour" in {column["name"] for column in inspect(connection).get_columns("things")}
    engine.dispose()


def test_an_index_is_built_while_others_write(things: str) -> None:
    """Outside of the transaction, as docs/upgrades.md shows it; and again after a migration that ended half way."""
    for _ in range(2):
        migrations.upgrade("things", things)
    engine = connect(things)
    with engine.connect() as connection:
        valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = CAST('things_by_colour' AS regclass)")
        assert connection.execute(valid).scalar_one() is True
    engine.dispose()


def test_an_index_whose_build_failed_is_built_again(things: str, tmp_path: Path) -> None:
    (tmp_path / "versions" / "second.py").write_text(INDEX_ALONE)
    engine = connect(things)
    valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('things_by_id')")
    with engine.connect() as writer, engine.connect() as looking, ThreadPoolExecutor(1) as executor:
        writer.execute(text("INSERT INTO things VALUES (1)"))  # its transaction stays open: the build waits for it
        migrating = executor.submit(migrations.upgrade, "things", things)
        deadline = time.monotonic() + 60
        while looking.execute(valid).scalar() is not False and time.monotonic() < deadline:
            looking.rollback()
        looking.rollback()
        time.sleep(0.5)  # longer than the lock's bound: the build gives up once at least
        writer.commit()
        migrating.result(timeout=60)
        assert looking.execute(valid).scalar_one() is True
    engine.dispose()


def test_a_lock_that_never_comes_ends_the_migration(things: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "LOCK_TRIES", 2)
    engine = connect(things)
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM things"))
        with pytest.raises(OperationalError, match="lock timeout"):
            migrations.upgrade("things", things)
    engine.dispose()
