"""Processes and their descendants, from /proc, and programs that run to their end."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable

TRAP = "HOLDFAST_CRASH_POINT"
PROGRAM_SECONDS = 120.0


def is_armed(pid: int | None) -> bool:
    """Whether it is already the process itself, and not its launcher."""
    with suppress(OSError):
        return pid is not None and f"{TRAP}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def any_died(pids: Iterable[int]) -> bool:
    return not all(Path(f"/proc/{pid}").exists() for pid in pids)


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that still run."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def run_program(*words: str) -> str:
    """What the program prints. Raises `OSError` with its error output."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PROGRAM_SECONDS)
    if done.returncode != 0:
        message = f"{' '.join(words)}: {done.stderr.strip()[-300:]}"
        raise OSError(message)
    return done.stdout


def process_tree(root: int | None) -> list[int]:
    """The pids of a process and its descendants; none for None."""
    return process_trees([root])[0] if root else []


def process_trees(roots: Iterable[int]) -> list[list[int]]:
    """The pids of each of these processes and its descendants."""
    parents: dict[int, list[int]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(directory.name))

    def tree(root: int) -> list[int]:
        return [root, *(pid for child in parents.get(root, ()) for pid in tree(child))]

    return [tree(root) for root in roots]
