"""Runs the threads of a process until it stops, and detects a thread that dies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from common.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event as Flag
    from threading import Thread

WATCH_SECONDS = 0.5
_log = logger(__name__)


def run_until(stop: Flag, threads: Sequence[Thread], *, stop_seconds: float) -> int:
    """Run the threads until `stop` (0), or until one of them ends before that (1): then the others are stopped as well.

    A thread that has not ended after `stop_seconds` is abandoned (1).
    """
    for thread in threads:
        thread.start()
    died: list[str] = []
    while not died and not stop.wait(WATCH_SECONDS):
        died = [thread.name for thread in threads if not thread.is_alive()]
    stop.set()
    deadline = time.monotonic() + stop_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = [thread.name for thread in threads if thread.is_alive()]
    if died or late:
        _log.error("threads died or did not stop in time", died=died, late=late)
    return 1 if died or late else 0
