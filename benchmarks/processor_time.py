"""Processor time of a stack's processes and their children, from the kernel's counters in /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infrastructure.local.stack import Stack

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)  # of the fields behind the name: user, system, and both of the children that ended


def by_process(stack: Stack) -> dict[str, float]:
    """The seconds that each process of the stack has used so far, by name."""
    parents, seconds = _all()
    used = dict.fromkeys((each["name"] for each in stack.status()["processes"]), 0.0)
    roots = {each["pid"]: each["name"] for each in stack.status()["processes"] if each["pid"]}
    for pid, spent in seconds.items():
        ancestor: int | None = pid
        while ancestor is not None and ancestor not in roots:
            ancestor = parents.get(ancestor)
        if ancestor is not None:
            used[roots[ancestor]] += spent
    return used


def _all() -> tuple[dict[int, int], dict[int, float]]:
    """Of every process of this machine its parent and the seconds it has used."""
    parents, seconds = {}, {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (directory / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            pid = int(directory.name)
            parents[pid] = int(fields[_PARENT])
            seconds[pid] = sum(map(int, fields[_TIMES])) / _TICKS_PER_SECOND
    return parents, seconds
