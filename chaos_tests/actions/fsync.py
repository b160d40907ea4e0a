"""Failing disk syncs: strace returns an error for fsync and fdatasync of a server."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaos_tests.actions.evidence import result
from chaos_tests.runners.drivers.driver import local

ATTACH_SECONDS = 1.0
CALLS = "fsync,fdatasync,sync_file_range"


def fail(server: str, configuration: dict[str, Any], first: int = 3, every: int = 5) -> dict[str, Any]:
    """From the `first` call on, every nth call returns EIO."""
    driver = local(configuration)
    directory = driver.directory / "strace"
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / f"{server}.log"
    log.unlink(missing_ok=True)
    pids = [word for pid in driver.pids(server) for word in ("-p", str(pid))]
    words = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={CALLS}"]
    words += ["-e", f"inject={CALLS}:error=EIO:when={first}+{every}", *pids]
    driver.journal.add(restore, {"server": server}, log=str(log))
    tracer = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    driver.journal.add(restore, {"server": server}, log=str(log), tracer=tracer.pid, started=_started(tracer.pid))
    time.sleep(ATTACH_SECONDS)
    # It ends when the server dies.
    if tracer.poll() is not None and _injected(log) == 0:
        raise OSError(f"strace did not attach to {server}")
    return result(f"strace attached to {len(pids) // 2} processes of {server}")


def restore(server: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Detach, and return how many calls got an error."""
    journal = local(configuration).journal
    memory = journal.memory(restore, {"server": server})
    tracer = memory.get("tracer")
    if tracer and _started(tracer) == memory.get("started"):
        with suppress(ProcessLookupError):
            os.kill(tracer, signal.SIGTERM)
        with suppress(ChildProcessError):
            os.waitpid(tracer, 0)
    count = _injected(Path(memory["log"])) if memory else 0
    journal.remove(restore, {"server": server})
    return result(f"{count} calls of {server} were answered with EIO", took_effect=count > 0)


def _injected(log: Path) -> int:
    try:
        return log.read_text(encoding="utf-8", errors="replace").count("(INJECTED)")
    except OSError:
        return 0


def _started(pid: int) -> str:
    """The identity of this process, different from a later one with the same pid."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""
