"""Stops a stack, the gateway first and the servers last.

Guarantee: afterwards no process of the stack is left, even if its supervisor died or hung. A process that exceeds its
grace period is killed; the servers' data survives that.
"""

import shutil
import time

from infrastructure.local import proctable
from infrastructure.local.accounts import database_account, postgres_data
from infrastructure.local.credentials import load_credentials
from infrastructure.local.errors import StackError
from infrastructure.local.home import Home
from infrastructure.local.progress import Progress, Step, note
from infrastructure.local.readiness import holds_within
from infrastructure.local.spec import read_specs
from infrastructure.local.supervision import Supervisor
from infrastructure.processes import Phase

_MARGIN_SECONDS = 10
_ORPHAN_GRACE_SECONDS = 20
_STOPPED = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})


def take_down(home: Home, progress: Progress) -> None:
    """Stop all processes of the stack, also those of a dead supervisor."""
    supervisor = Supervisor(home)
    if supervisor.is_running:
        try:
            _stop_in_order(home, supervisor, progress)
        except StackError as error:
            note(progress, f"{error}; ending its processes one by one")
    leftovers = proctable.stack_processes(home)
    proctable.end(leftovers, _ORPHAN_GRACE_SECONDS)
    if proctable.stack_processes(home):
        raise StackError(f"processes of {home.path} could not be ended")


def delete_home(home: Home) -> None:
    """Delete all files of the stack, which must be stopped."""
    data = postgres_data(home.path, load_credentials(home).identity, database_account())
    if home.path not in data.parents:
        shutil.rmtree(data.parent, ignore_errors=True)
    home.socket.unlink(missing_ok=True)
    shutil.rmtree(home.path)


def _stop_in_order(home: Home, supervisor: Supervisor, progress: Progress) -> None:
    bounds = {name: spec.stop_seconds for name, spec in read_specs(home.programs_file).items()}
    for phase in sorted(Phase, reverse=True):
        names = [line.name for line in home.processes if line.phase == phase and not line.is_job]
        # The port mapper last: the broker is registered there until it ends.
        for group in ([name for name in names if name != "epmd"], [name for name in names if name == "epmd"]):
            _stop_together(supervisor, group, bounds, progress)
    supervisor.shut_down()
    holds_within(lambda: not supervisor.is_running, _MARGIN_SECONDS)


def _stop_together(supervisor: Supervisor, names: list[str], bounds: dict[str, int], progress: Progress) -> None:
    left = [name for name, info in supervisor.processes().items() if name in names and not _ended(info)]
    for name in left:
        progress(Step(name, "stopping"))
        supervisor.stop(name, wait=False)
    deadline = time.monotonic() + max((bounds.get(name, 0) for name in left), default=0) + _MARGIN_SECONDS
    while left and time.monotonic() < deadline:
        known = supervisor.processes()
        for name in [name for name in left if _ended(known[name])]:
            left.remove(name)
            progress(Step(name, "stopped"))
        time.sleep(0.1 if left else 0)


def _ended(info: dict[str, object]) -> bool:
    return info["statename"] in _STOPPED
