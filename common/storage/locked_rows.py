"""Rows that a transaction locks, decides about and writes: one by one, or a batch's rows by one statement each.

Within `together` the rows of all keys are locked by one statement, always in the same order, and what `change` was
given is written by one statement at its end. A use case is the same in either case.
Pattern: https://martinfowler.com/eaaCatalog/unitOfWork.html
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

Row = TypeVar("Row")


class LockedRows(Generic[Row]):
    """The rows of one table, by key.

    `lock` selects the rows of some keys `FOR UPDATE`, always in the same order, and returns them by key. `write` writes
    the values of several changes, at most one for each key.
    """

    def __init__(
        self,
        name: str,
        lock: Callable[[Connection, Sequence[str]], Mapping[str, Row]],
        write: Callable[[Connection, Sequence[Mapping[str, Any]]], object],
    ) -> None:
        self._name, self._lock, self._write = f"holdfast_locked_{name}", lock, write

    @contextmanager
    def together(self, connection: Connection, keys: Iterable[str]) -> Iterator[None]:
        """Lock the rows of `keys` now, and write changes at the end; none is written if the block raises."""
        held = _Held[Row](set(keys))
        held.rows.update(self._lock(connection, sorted(held.keys)))
        connection.info[self._name] = held
        try:
            yield
            self.flush(connection)
        finally:
            del connection.info[self._name]

    def get(self, connection: Connection, key: str) -> Row | None:
        """The row as this transaction has changed it, locked until it ends; None if there is none."""
        held = self._held(connection)
        if held is None:
            return self._lock(connection, [key]).get(key)
        if key not in held.keys:
            held.keys.add(key)
            held.rows.update(self._lock(connection, [key]))
        return held.rows.get(key)

    def change(self, connection: Connection, key: str, row: Row, values: Mapping[str, Any]) -> None:
        """Write `values`, by which the locked row becomes `row`."""
        held = self._held(connection)
        if held is None:
            self._write(connection, [values])
        else:
            held.rows[key] = row
            held.changes[key] = values

    def flush(self, connection: Connection) -> None:
        """Write what is changed, for a statement that reads it."""
        held = self._held(connection)
        if held is not None and held.changes:
            self._write(connection, list(held.changes.values()))
            held.changes.clear()

    def _held(self, connection: Connection) -> _Held[Row] | None:
        held: _Held[Row] | None = connection.info.get(self._name)
        return held


class _Held(Generic[Row]):
    def __init__(self, keys: set[str]) -> None:
        self.keys = keys
        self.rows: dict[str, Row] = {}
        self.changes: dict[str, Mapping[str, Any]] = {}
