"""Migrations on a real server, run as the job is run: a process per context."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, text

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration


def _start(*arguments: str, url: str | None) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"]} | ({"DATABASE_URL": url} if url else {})
    command = [sys.executable, "-m", "common.migrations", *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _run(*arguments: str, url: str | None) -> tuple[int, str]:
    with _start(*arguments, url=url) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def test_several_at_once_and_again(database: Callable[[], str]) -> None:
    url = database()
    processes = [_start("users", url=url) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert _run("users", url=url)[0] == 0
    engine = create_engine(url)
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
