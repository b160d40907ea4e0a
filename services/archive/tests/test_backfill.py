"""Events without positions get them in the order of arrival, while workers append."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from services.archive import backfill, models
from services.archive.backfill import assign_missing_positions
from services.archive.event_log import EventLog

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.integration


def file_without_position(archive: Database[dict[str, Any]], count: int, name: str = "old") -> list[str]:
    ids = [f"{name}-{number:05}" for number in range(count)]
    archive["events"].insert_many([{"_id": event_id, "received_at": event_id} for event_id in reversed(ids)])
    return ids


def in_order(archive: Database[dict[str, Any]]) -> list[str]:
    found = list(archive["events"].find().sort("position"))
    assert [document["position"] for document in found] == list(range(1, len(found) + 1))
    return [document["_id"] for document in found]


def test_events_get_positions_in_the_order_of_arrival(
    archive: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PORTION", 7)
    ids = file_without_position(archive, 30)
    assert assign_missing_positions(archive, seconds=60) == 30
    assert in_order(archive) == ids
    assert assign_missing_positions(archive, seconds=60) == 0
    assert EventLog(archive).append({"_id": "new", "received_at": ""})
    assert in_order(archive) == [*ids, "new"]


def test_concurrent_backfills_and_appends_keep_positions_in_order(
    archive: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PORTION", 11)
    ids = file_without_position(archive, 150)
    log, done = EventLog(archive), threading.Event()

    def append() -> list[str]:
        names: list[str] = []
        while not done.is_set():
            names.append(f"new-{len(names)}")
            assert log.append({"_id": names[-1], "received_at": ""})
        return names

    with ThreadPoolExecutor(3) as threads:
        appending = threads.submit(append)
        assigning = [threads.submit(assign_missing_positions, archive, seconds=60) for _ in range(2)]
        count = sum(each.result() for each in assigning)
        done.set()
        names = appending.result()
    assert count == 150
    found = in_order(archive)
    assert [event_id for event_id in found if event_id in set(ids)] == ids
    assert set(found) == {*ids, *names}


def test_missing_positions_are_found_with_a_partial_index(archive: Database[dict[str, Any]]) -> None:
    assert EventLog(archive).append({"_id": "new", "received_at": ""})
    assert not models.has_unplaced(archive)
    plan = archive["events"].find(models.UNPLACED).hint("unplaced").explain()
    assert plan["executionStats"]["totalKeysExamined"] == 0
