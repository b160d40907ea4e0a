"""For commands with their own stack: SIGTERM ends command and stack, like Ctrl-C."""

import signal
import sys
from types import FrameType


def exit_on_sigterm() -> None:
    """Call once, in the main thread: from now on SIGTERM raises `SystemExit`, and every `finally` runs."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
