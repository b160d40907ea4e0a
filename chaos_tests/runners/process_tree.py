"""Processes and their descendants, from /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TRAP = "HOLDFAST_CRASH_POINT"


def is_armed(pid: int | None) -> bool:
    """Whether it is already the process itself, and not its launcher."""
    with suppress(OSError):
        return pid is not None and f"{TRAP}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def any_died(pids: Iterable[int]) -> bool:
    return not all(Path(f"/proc/{pid}").exists() for pid in pids)


def process_tree(root: int | None) -> list[int]:
    """The pids of a process and its descendants; none for None."""
    parents: dict[int, list[int]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(directory.name))
    found, todo = [], [root] if root else []
    while todo:
        process = todo.pop()
        found.append(process)
        todo += parents.get(process, [])
    return found
