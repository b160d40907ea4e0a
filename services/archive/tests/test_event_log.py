"""Positions on a real MongoDB: a reader that resumes after a position misses no event, with any number of writers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import pytest
from pymongo.errors import PyMongoError

from common.errors import Unavailable, classify
from common.storage.mongodb import connect
from common.tests.tcp_proxy import Link
from services.archive.event_log import EventLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo.database import Database

pytestmark = pytest.mark.integration
WRITERS, THREADS, EVENTS = 3, 4, 150


@pytest.fixture
def connected(document_store: str) -> Iterator[Callable[[str], Database[dict[str, Any]]]]:
    """Separate connections, like those of different processes."""
    made: list[Database[dict[str, Any]]] = []

    def connect_as(name: str, url: str = document_store) -> Database[dict[str, Any]]:
        made.append(connect(url, timeout_seconds=60, name=name, pool_size=THREADS))
        return made[-1]

    yield connect_as
    for database in made:
        database.client.close()


class Follower:
    """A reader that polls for events after the last position that it has read."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self.seen: list[int] = []
        self._events = database["events"]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(60)

    def _follow(self) -> None:
        while not self._done.is_set():
            self._read()
        self._read()

    def _read(self) -> None:
        last = self.seen[-1] if self.seen else 0
        found = self._events.find({"position": {"$gt": last}}).sort("position")
        self.seen += [document["position"] for document in found]


def append_in_time(log: EventLog, name: str) -> None:
    """Repeat until MongoDB answers within the short time-out: the driver may not have connected yet."""
    while True:
        try:
            log.append({"_id": name})
        except PyMongoError:
            continue
        return


def positions(archive: Database[dict[str, Any]]) -> dict[str, int]:
    return {document["_id"]: document["position"] for document in archive["events"].find()}


def test_a_reader_that_follows_positions_misses_nothing_while_several_workers_write(
    archive: Database[dict[str, Any]], connected: Callable[[str], Database[dict[str, Any]]]
) -> None:
    logs = [EventLog(connected(f"writer-{number}")) for number in range(WRITERS)]

    def write(place: tuple[int, int]) -> bool:
        writer, number = place
        return logs[writer].append({"_id": f"{writer}-{number}"})

    places = [(writer, number) for number in range(EVENTS) for writer in range(WRITERS)]
    with Follower(archive) as follower, ThreadPoolExecutor(WRITERS * THREADS) as threads:
        assert all(threads.map(write, places))
    assert follower.seen == list(range(1, len(places) + 1))


def test_a_duplicate_takes_no_position(archive: Database[dict[str, Any]]) -> None:
    log = EventLog(archive)
    assert [log.append({"_id": name}) for name in ("a", "b", "a", "c", "b")] == [True, True, False, True, False]
    assert positions(archive) == {"a": 1, "b": 2, "c": 3}


def test_duplicates_within_one_write_are_found(archive: Database[dict[str, Any]]) -> None:
    log = EventLog(archive)
    with ThreadPoolExecutor(16) as threads:
        new = list(threads.map(lambda number: log.append({"_id": f"{number % 20}"}), range(200)))
    assert sum(new) == 20
    assert sorted(positions(archive).values()) == list(range(1, 21))


def test_a_position_used_by_another_process_is_not_reused(archive: Database[dict[str, Any]]) -> None:
    one, other = EventLog(archive), EventLog(archive)
    assert one.append({"_id": "a"})
    assert other.append({"_id": "b"})
    assert one.append({"_id": "c"})  # its cached position is outdated: 2 is taken
    assert positions(archive) == {"a": 1, "b": 2, "c": 3}


def test_one_document_that_cannot_be_written_fails_alone(archive: Database[dict[str, Any]]) -> None:
    log = EventLog(archive)

    def write(number: int) -> bool:
        try:
            return log.append({"_id": f"{number}", "value": object() if number % 10 == 3 else 1})
        except PyMongoError:
            raise
        except Exception:  # noqa: BLE001 - whatever the encoder calls it
            return False

    with ThreadPoolExecutor(16) as threads:
        written = list(threads.map(write, range(100)))
    assert [number for number, is_written in enumerate(written) if not is_written] == list(range(3, 100, 10))
    assert sorted(positions(archive).values()) == list(range(1, 91))


def test_positions_continue_after_an_outage(
    archive: Database[dict[str, Any]], connected: Callable[..., Database[dict[str, Any]]], document_store: str
) -> None:
    with Link(document_store) as link:
        log = EventLog(connect(link.url, timeout_seconds=1, name="writer", pool_size=1))
        append_in_time(log, "a")
        link.cut()
        with pytest.raises(PyMongoError) as caught:
            log.append({"_id": "b"})
        assert classify(caught.value) is Unavailable
        link.restore()
        assert EventLog(archive).append({"_id": "c"})  # another process continues
        for name in ("b", "c", "d"):
            append_in_time(log, name)
        log.database.client.close()
    found = positions(archive)
    assert set(found) == {"a", "b", "c", "d"}
    assert sorted(found.values()) == [1, 2, 3, 4]
