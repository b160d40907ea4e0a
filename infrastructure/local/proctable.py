"""Finds the processes of a stack in the kernel's table, so that none survives its end.

A process is recorded by pid, start time and boot id, because pids are reused. The supervisor leads its own session, in
which its children stay; so unrecorded ones are found. Of those that leave the session only Erlang's port mapper is
searched; the others (PostgreSQL's backends) end when their parent is gone.
"""

import json
import os
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from infrastructure.local.home import Home, write_private

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the kernel's table."""

    pid: int
    group: int
    session: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Record:
    """The identity of a started process."""

    pid: int
    start_ticks: int
    boot: str


def lookup(pid: int) -> Process | None:
    """Return the process with that pid unless it has ended."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    words = text.rpartition(")")[2].split()
    if words[0] in {"Z", "X"}:
        return None
    return Process(pid, group=int(words[2]), session=int(words[3]), start_ticks=int(words[19]))


def running() -> Iterator[Process]:
    """Iterate over every process of the machine."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (found := lookup(int(entry.name))):
            yield found


def record(path: Path, pid: int) -> None:
    """Record a running process."""
    found = lookup(pid)
    if found:
        write_private(path, json.dumps(asdict(Record(pid, found.start_ticks, _boot()))) + "\n")


def recorded(path: Path) -> Record | None:
    """Return the record, if it is readable and of this boot."""
    try:
        found = Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.boot == _boot() else None


def alive(found: Record | Process | None) -> bool:
    """Whether the same process still runs."""
    now = lookup(found.pid) if found else None
    return now is not None and found is not None and now.start_ticks == found.start_ticks


def supervisor_record(home: Home) -> Path:
    return home.run / "supervisor.json"


def program_record(run: Path, name: str) -> Path:
    return run / f"started-{name}.json"


def stack_processes(home: Home) -> list[Process]:
    """Return every process that the home's supervisor, alive or dead, has left running, itself included."""
    return [*_session_members(home), *_port_mappers(home)]


def _session_members(home: Home) -> list[Process]:
    leader = recorded(supervisor_record(home))
    if leader is None:
        return []
    members = [found for found in running() if found.session == leader.pid and found.start_ticks >= leader.start_ticks]
    if alive(leader):
        return members
    # The leader is gone, so its pid may be reused by another session: only recorded processes count.
    records = [recorded(path) for path in home.run.glob("started-*.json")]
    groups = {found.pid for found in records if found}
    return [found for found in members if found.pid != leader.pid and found.group in groups]


def _port_mappers(home: Home) -> list[Process]:
    """Return port mappers that a broker of this home has started: they leave its session."""
    leader = recorded(supervisor_record(home))
    own = f"HOME={home.data('rabbitmq')}"
    return [
        found
        for found in running()
        if _text(found.pid, "comm").strip() == "epmd"
        and own in _text(found.pid, "environ").split("\0")
        and (leader is None or found.session != leader.pid)
    ]


def _text(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def orphans(old: Record | None, session: int) -> list[Process]:
    """Return the remaining processes of a dead process's group, for example workers that hold its port."""
    if old is None or alive(old):
        return []
    return [found for found in running() if found.group == old.pid and found.session == session]


def end(processes: Collection[Process], grace_seconds: float) -> None:
    """Stop the processes gracefully, and kill them after a grace period. Returns when none is left."""
    _signal(processes, signal.SIGTERM)
    if not _ended_within(processes, grace_seconds):
        _signal(processes, signal.SIGKILL)
        _ended_within(processes, 10)


def _signal(processes: Collection[Process], number: signal.Signals) -> None:
    for found in processes:
        if alive(found):
            try:
                os.kill(found.pid, number)
            except ProcessLookupError:
                continue


def _ended_within(processes: Collection[Process], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(found) for found in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
