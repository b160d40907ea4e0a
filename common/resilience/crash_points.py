"""Named places at which a test build kills its process, as a power cut would: between any two steps that matter.

`HOLDFAST_CRASH_POINT=relay.published:3` kills (SIGKILL) when that place is reached for the third time. It works only
with HOLDFAST_TEST_BUILD=1 beside it; otherwise every call returns at once. The environment is read here and not in the
settings because it is no setting: no installation has it.

To add a crash point: call `crash_point` with a new name between two steps, and list it in
`chaos_tests/crashes/points.py`, which says how to reach it. `tests/test_crash_points.py` fails until both are there.
"""

from __future__ import annotations

import os
import signal
import threading


class _Trap:
    def __init__(self, wanted: str) -> None:
        self._name, _, count = wanted.partition(":")
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
    wanted = os.environ.get("HOLDFAST_CRASH_POINT")
    return _Trap(wanted) if wanted and os.environ.get("HOLDFAST_TEST_BUILD") == "1" else None


_TRAP = _armed()


def crash_point(name: str) -> None:
    """Die here, if this is the place that the test chose."""
    if _TRAP is not None:
        _TRAP.reached(name)
