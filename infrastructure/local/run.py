"""Starts one process of a stack: `python -m infrastructure.local.run RUN_DIRECTORY NAME`.

The supervisor starts this instead of the process itself. Guarantee: the process gets exactly the command and the
environment of the home's process file, without double quoting or the caller's environment; remaining processes of its
killed predecessor's group are stopped first; a process that keeps failing is restarted at most every five seconds, for
ever; one that listens gets its kept socket (without a socket manager it opens one itself).
"""

import json
import os
import resource
import socket
import sys
import time
from pathlib import Path

from infrastructure.local import listeners, proctable
from infrastructure.local.home import write_private
from infrastructure.local.spec import Spec, read_specs

_QUICK_SECONDS = 10
_PAUSE_STEP_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_KEEPER_SECONDS = 3.0
_KEEPER_PAUSE_SECONDS = 0.2
# The first passed descriptor, see sd_listen_fds(3).
_FIRST_DESCRIPTOR = 3


def main() -> None:
    run, name = Path(sys.argv[1]), sys.argv[2]
    spec = read_specs(run / "programs.json")[name]
    mine = proctable.program_record(run, name)
    leftovers = proctable.orphans(proctable.recorded(mine), os.getsid(0))
    proctable.end(leftovers, grace_seconds=0)
    proctable.record(mine, os.getpid())
    time.sleep(_pause_seconds(_pace_file(run, name)))
    for path in map(Path, spec.stale_files):
        _remove_if_stale(path, Path(spec.words[0]).name)
    _become(spec, _listener(spec))


def quick_ends(run: Path, name: str) -> int:
    """Return how many times in a row the process has ended soon after its start."""
    try:
        return int(json.loads(_pace_file(run, name).read_text(encoding="utf-8"))["quick"])
    except (OSError, ValueError, KeyError):
        return 0


def _pace_file(run: Path, name: str) -> Path:
    return run / f"pace-{name}.json"


def _pause_seconds(path: Path) -> float:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        last = json.loads(path.read_text(encoding="utf-8"))
        quick = last["quick"] + 1 if 0 <= now - last["at"] < _QUICK_SECONDS else 0
    except (OSError, ValueError, KeyError):
        quick = 0
    pause = min(_LONGEST_PAUSE_SECONDS, _PAUSE_STEP_SECONDS * quick)
    write_private(path, json.dumps({"at": now + pause, "quick": quick}) + "\n")
    return pause


def _remove_if_stale(path: Path, program: str) -> None:
    # After a crash of the machine the pid in the file may belong to any process.
    try:
        pid = int(path.read_text(encoding="utf-8").split()[0])
        command = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError, IndexError):
        command = ""
    if command != program:
        path.unlink(missing_ok=True)


def _listener(spec: Spec) -> socket.socket | None:
    deadline = time.monotonic() + _KEEPER_SECONDS
    while spec.listen:
        try:
            return listeners.take(Path(spec.socket_manager), spec.listen)
        except OSError as error:
            if time.monotonic() > deadline:
                sys.stderr.write(f"{spec.name} opens its socket itself: {error}\n")
                break
            time.sleep(_KEEPER_PAUSE_SECONDS)
    return None


def _handed_over(listener: socket.socket) -> dict[str, str]:
    """Move the socket to its descriptor; returns the variables that announce it: systemd's, and nginx's own."""
    if listener.fileno() == _FIRST_DESCRIPTOR:
        listener.set_inheritable(True)
    else:
        os.dup2(listener.fileno(), _FIRST_DESCRIPTOR)
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "NGINX": f"{_FIRST_DESCRIPTOR};"}


def _become(spec: Spec, listener: socket.socket | None) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.chdir(spec.directory)
    os.umask(0o077)
    if spec.uid is not None and spec.gid is not None:
        os.setgroups([spec.gid])
        os.setgid(spec.gid)
        os.setuid(spec.uid)
    environment = {**spec.environment, **(_handed_over(listener) if listener else {})}
    os.execve(spec.words[0], spec.words, environment)


if __name__ == "__main__":
    main()
