"""Waiting for what is to come true in a moment, always with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Each look takes processor time from the system that is waited for: soon at first, then less often.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, LONGER = 0.1, 0.4, 1.25


def eventually(look: Callable[[], T], is_right: Callable[[T], bool] = bool, *, seconds: float = 120) -> T:
    """Look until what is seen is right, and answer it; AssertionError with what was seen last when time is up."""
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE_SECONDS
    while not is_right(seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s; seen last: {seen!r}"
        time.sleep(pause)
        pause = min(pause * LONGER, LONGEST_PAUSE_SECONDS)
    return seen
