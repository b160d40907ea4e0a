"""Writes of several threads, grouped."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.mail.grouped_writes import GroupedWrites

SECONDS = 60.0


class Slow:
    """The first write takes until `may_end` is set; one that contains `bad` fails."""

    def __init__(self, *, bad: int = -1) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.may_end = threading.Event(), threading.Event()
        self._bad = bad

    def write(self, items: list[int]) -> None:
        self.begun.set()
        assert self.may_end.wait(SECONDS)
        self.groups.append(items)
        if self._bad in items:
            raise ConnectionError("away")


def add_all(slow: Slow, grouped: GroupedWrites[int], count: int) -> list[str]:
    """Item 0 first, the others while it is written."""

    def add(item: int) -> str:
        try:
            grouped.add(item)
        except ConnectionError:
            return "failed"
        assert any(item in group for group in slow.groups)
        return "written"

    with ThreadPoolExecutor(count) as pool:
        first = pool.submit(add, 0)
        assert slow.begun.wait(SECONDS)
        others = [pool.submit(add, item) for item in range(1, count)]
        deadline = time.monotonic() + SECONDS
        while len(grouped._waiting) < count - 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        slow.may_end.set()
        return [each.result(SECONDS) for each in (first, *others)]


def test_items_added_during_a_write_are_written_together() -> None:
    slow = Slow()
    grouped = GroupedWrites(slow.write)
    assert add_all(slow, grouped, 6) == ["written"] * 6
    assert [sorted(group) for group in slow.groups] == [[0], [1, 2, 3, 4, 5]]


def test_an_error_affects_its_whole_group_and_no_other() -> None:
    slow = Slow(bad=3)
    grouped = GroupedWrites(slow.write)
    assert add_all(slow, grouped, 5) == ["written", *["failed"] * 4]
    grouped.add(7)
    assert slow.groups[-1] == [7]


def test_a_single_item_is_written_at_once() -> None:
    groups: list[list[int]] = []
    grouped = GroupedWrites(groups.append)
    grouped.add(1)
    grouped.add(2)
    assert groups == [[1], [2]]


def test_an_error_is_raised_to_its_caller() -> None:
    slow = Slow(bad=1)
    slow.may_end.set()
    with pytest.raises(ConnectionError, match="away"):
        GroupedWrites(slow.write).add(1)
