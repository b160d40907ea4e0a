"""A schedule is a sequence of bytes; each decision takes the next one. After the last byte nothing fails.

So a schedule can be stored, repeated and shrunk: with a byte removed or decreased it is still a schedule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Choices:
    def __init__(self, schedule: bytes) -> None:
        self._schedule, self._used = schedule, 0

    @property
    def left(self) -> bool:
        return self._used < len(self._schedule)

    def take(self, options: int) -> int:
        """One of `options`, from 0; 0 when the schedule is used up."""
        if not self.left:
            return 0
        self._used += 1
        return self._schedule[self._used - 1] % options

    def add(self, schedule: bytes) -> None:
        self._schedule += schedule

    def end(self) -> None:
        """From now on nothing fails."""
        self._used = len(self._schedule)


def smallest(schedule: bytes, fails: Callable[[bytes], bool], tries: int = 2_000) -> bytes:
    """A minimal schedule that still fails: no byte can be removed or zeroed, unless the tries are used up."""
    progress = True
    while progress and tries > 0:
        progress = False
        for candidate in _smaller(schedule):
            tries -= 1
            if fails(candidate):
                schedule, progress = candidate, True
                break
            if tries <= 0:
                break
    return schedule


def _smaller(schedule: bytes) -> Iterator[bytes]:
    size = len(schedule) // 2
    while size:
        for start in range(0, len(schedule), size):
            yield schedule[:start] + schedule[start + size :]
        size //= 2
    for place, byte in enumerate(schedule):
        if byte:
            yield schedule[:place] + b"\0" + schedule[place + 1 :]
            yield schedule[:place] + bytes([byte // 2]) + schedule[place + 1 :]
