"""Processor time of a stack's processes, by process group, as the kernel counts it.

A group is what the supervisor starts under one name, and everything below it: PostgreSQL's backends and RabbitMQ's
helpers too. Children that have ended count with the parent that waited for them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_tests.runners.resources import process_groups

if TYPE_CHECKING:
    from infrastructure.local.stack import Stack

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def processor_seconds(stack: Stack) -> dict[str, float]:
    """The processor time of each group so far."""
    return {name: sum(map(process_seconds, pids)) for name, pids in process_groups(stack).items()}


def process_seconds(pid: int) -> float:
    """The processor time of one process so far."""
    with suppress(OSError):  # the process has just ended
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS_PER_SECOND
    return 0.0
