"""Polls until a condition holds, within a time-out."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Each poll takes processor time from the system under test, so the pauses grow.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, LONGER = 0.1, 0.4, 1.25


def eventually(poll: Callable[[], T], is_right: Callable[[T], bool] = bool, *, seconds: float = 120) -> T:
    """Poll until the value is accepted; returns it. Raises `AssertionError` with the last value after the time-out."""
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE_SECONDS
    while not is_right(value := poll()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s; last value: {value!r}"
        time.sleep(pause)
        pause = min(pause * LONGER, LONGEST_PAUSE_SECONDS)
    return value
