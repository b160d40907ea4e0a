"""Committed rows must survive a power cut; with synchronous_commit off, some must be lost.

The second is the control: if it lost nothing, the test could not have failed, and proves nothing.
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg2

from chaos_tests.actions.databases import administrator_of

WAIT_SECONDS = 15.0


class Written:
    """Rows that are written one by one, each its own transaction, until the server dies."""

    def __init__(self, *, durable: bool) -> None:
        self._durable, self._table = durable, "chaos_durable" if durable else "chaos_control"
        self._answered = 0
        self._thread: threading.Thread | None = None

    def begin(self, configuration: dict[str, Any]) -> None:
        """Create the table, and write until it fails."""
        with administrator_of(configuration, "postgres") as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {self._table}")
            cursor.execute(f"CREATE TABLE {self._table} (number bigint)")
        self._thread = threading.Thread(target=self._write, args=(configuration,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Return when it has failed."""
        if self._thread is not None:
            self._thread.join(WAIT_SECONDS)

    def lost(self, configuration: dict[str, Any]) -> str:
        """The lost rows, as text. Raises `RuntimeError` if the result is not as expected."""
        with administrator_of(configuration, "postgres") as cursor:
            cursor.execute(f"SELECT count(*) FROM {self._table}")
            there = int(cursor.fetchone()[0])
            cursor.execute(f"DROP TABLE {self._table}")
        gone = max(0, self._answered - there)
        reported = f"{gone} of {self._answered} rows {'lost' if self._durable else 'lost without synchronous_commit'}"
        if (self._durable and gone) or not self._answered:
            raise RuntimeError(reported)
        if not self._durable and not gone:
            raise RuntimeError(f"the control lost nothing, so nothing is proved: {reported}")
        return reported

    def _write(self, configuration: dict[str, Any]) -> None:
        try:
            with administrator_of(configuration, "postgres") as cursor:
                cursor.execute(f"SET synchronous_commit = {'on' if self._durable else 'off'}")
                while True:
                    cursor.execute(f"INSERT INTO {self._table} VALUES (%s)", [self._answered])
                    self._answered += 1
        except psycopg2.Error:
            return
