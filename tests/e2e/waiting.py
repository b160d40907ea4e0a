"""Waiting for what is to come true in a moment, always with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_SECONDS = 0.1


def eventually(look: Callable[[], T], is_right: Callable[[T], bool] = bool, *, seconds: float = 120) -> T:
    """Look until what is seen is right, and answer it; AssertionError with what was seen last when time is up."""
    deadline = time.monotonic() + seconds
    while not is_right(seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s; seen last: {seen!r}"
        time.sleep(PAUSE_SECONDS)
    return seen
