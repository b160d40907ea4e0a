"""Named places at which a test build kills its process, like a power cut, between any two critical steps.

`HOLDFAST_CRASH_POINT=relay.published:3` kills (SIGKILL) when that place is reached for the third time. It works only
together with HOLDFAST_TEST_BUILD=1; otherwise every call returns at once. It is read here and not in the settings
because no installation sets it.

To add a crash point: call `crash_point` with a new name between two steps, and follow "Add a crash point" in
docs/recipes.md. `tests/test_crash_points.py` fails until it is listed and was run.
"""

from __future__ import annotations

import os
import signal
import threading


class _Trap:
    def __init__(self, setting: str) -> None:
        self._name, _, count = setting.partition(":")
        self._left = int(count or 1)
        self._lock = threading.Lock()

    def reached(self, name: str) -> None:
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _armed() -> _Trap | None:
    setting = os.environ.get("HOLDFAST_CRASH_POINT")
    return _Trap(setting) if setting and os.environ.get("HOLDFAST_TEST_BUILD") == "1" else None


_TRAP = _armed()


def crash_point(name: str) -> None:
    """Kill the process here if the test chose this place."""
    if _TRAP is not None:
        _TRAP.reached(name)
