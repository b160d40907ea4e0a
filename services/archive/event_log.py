"""Appends events to the archive, each with the next position: 1, 2, 3 ...

Guarantee: when a reader sees position p, every position below p is visible to it. So a read of "everything after p" is
complete, with any number of archive workers. A position is used only after the previous one is on a majority, and a
unique index gives it to one writer; the loser takes the next one (docs/decisions/0020).
Not promised: that events of one source are in the order of their `sequence`; they are in the order of arrival.
Documents that wait while another thread writes are written together, so several threads cost no more than one.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from pymongo.errors import BulkWriteError, WriteConcernError, WriteError

from common.errors import Contention, Unavailable, classify
from services.archive import models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.database import Database

    Document = dict[str, Any]

MAX_TRIES = 50
_MAX_PAUSE_SECONDS = 0.02
_DUPLICATE_KEY = 11000


class _Entry:
    """One document in flight: `is_new` when it is decided, or `error`."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.is_new: bool | None = None
        self.error: Exception | None = None

    @property
    def is_open(self) -> bool:
        return self.is_new is None and self.error is None


class EventLog:
    """Writes to the collection for one process; thread-safe."""

    def __init__(self, database: Database[Document]) -> None:
        self.database = database
        self._waiting: deque[_Entry] = deque()
        self._writing = threading.Lock()
        self._next: int | None = None  # None: to be read

    def append(self, document: Document) -> bool:
        """Insert the document unless its `_id` is taken; False if it is. Raises pymongo's errors, or `Contention`."""
        return self.append_all([document])[0]

    def append_all(self, documents: Sequence[Document]) -> list[bool]:
        """Like `append`, several in one write. Raises if one fails; the others may then be stored."""
        entries = [_Entry(document) for document in documents]
        self._waiting.extend(entries)
        with self._writing:
            if any(entry.is_open for entry in entries):  # else another thread has written them
                self._write([self._waiting.popleft() for _ in range(len(self._waiting))])
        for entry in entries:
            if entry.error is not None:
                raise entry.error
        return [entry.is_new is True for entry in entries]

    def _write(self, batch: list[_Entry]) -> None:
        try:
            self._insert(batch)
        except Exception as error:  # noqa: BLE001 - each waiting thread raises it
            self._next = None
            undecided = [entry for entry in batch if entry.is_open]
            if len(undecided) > 1 and classify(error) is not Unavailable:
                for entry in undecided:  # one document may cause the error: the others must not fail with it
                    self._write([entry])
            else:
                for entry in undecided:
                    entry.error = error

    def _insert(self, batch: list[_Entry]) -> None:
        tries = 0
        while batch:
            first = self._next or models.last_position(self.database) + 1
            for position, entry in enumerate(batch, start=first):
                entry.document["position"] = position
            taken = self._insert_ordered(batch)
            if taken is None:
                self._next = first + len(batch)
                return
            count, is_position = taken
            batch = batch[count:]
            if is_position:  # another process has used the position
                self._next = None
                tries += 1
                _pause(tries)
            else:
                self._next = first + count
                batch.pop(0).is_new = False

    def _insert_ordered(self, batch: list[_Entry]) -> tuple[int, bool] | None:
        """None if all were inserted; else how many were, and whether the next one hit a taken position (or a taken
        id).
        """
        try:
            models.events(self.database).insert_many([entry.document for entry in batch], ordered=True)
        except BulkWriteError as error:
            failure = _failure(error)
            count: int = failure["index"]
            _mark_new(batch[:count])
            return count, "position" in failure["keyPattern"]
        _mark_new(batch)
        return None


def _failure(error: BulkWriteError) -> Document:
    """The duplicate key that ended an ordered insert; for other errors raises like a single insert."""
    details = error.details or {}
    if concerns := details.get("writeConcernErrors"):
        raise WriteConcernError(concerns[0].get("errmsg", ""), concerns[0].get("code"), concerns[0]) from error
    failure: Document = details["writeErrors"][0]
    if failure["code"] != _DUPLICATE_KEY:
        raise WriteError(failure["errmsg"], failure["code"], failure) from error
    return failure


def _mark_new(entries: list[_Entry]) -> None:
    for entry in entries:
        entry.is_new = True


def _pause(tries: int) -> None:
    if tries > MAX_TRIES:
        raise Contention("other archive workers took each position first")
    time.sleep(random.uniform(0, _MAX_PAUSE_SECONDS))
