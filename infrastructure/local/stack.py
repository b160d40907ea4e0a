"""A whole stack on this machine: start, stop, and control. (Tests, the demo and the command line use this.)
Guarantee: `up` returns when all requested processes are ready, or raises with the reason; it is idempotent; after a
crash all data is still there.

`down` leaves no process. One command at a time changes a stack; several stacks can run at once.
"""

import os
import signal
from pathlib import Path
from typing import Any

from infrastructure.local import plan
from infrastructure.local.credentials import Credentials, load_credentials
from infrastructure.local.errors import StackError
from infrastructure.local.home import DEFAULT_HOME, Home, existing_home, locked, open_home
from infrastructure.local.listeners import release
from infrastructure.local.progress import Progress, silent
from infrastructure.local.rolling import restart
from infrastructure.local.shutdown import delete_home, take_down
from infrastructure.local.spec import read_specs
from infrastructure.local.startup import Extent, bring_up
from infrastructure.local.status import status_of
from infrastructure.local.supervision import Supervisor
from infrastructure.local.urls import Urls


class Stack:
    """The stack of one home. Without a port base it keeps the one that the home has; likewise its broker's nodes."""

    def __init__(
        self, home: Path | str = DEFAULT_HOME, port_base: int | None = None, rabbitmq_nodes: int | None = None
    ) -> None:
        self._path = Path(home).absolute()
        self._port_base = port_base
        self._rabbitmq_nodes = rabbitmq_nodes

    @property
    def home(self) -> Home:
        """The directory and its ports, created if needed."""
        return open_home(self._path, self._port_base, self._rabbitmq_nodes)

    @property
    def credentials(self) -> Credentials:
        return load_credentials(self.home)

    @property
    def urls(self) -> Urls:
        """Every address of the stack, with credentials that work."""
        return Urls(self.home, self.credentials)

    @property
    def is_running(self) -> bool:
        """Whether the stack's supervisor runs. (What it runs is in `status`.)"""
        known = existing_home(self._path)
        return known is not None and Supervisor(known).is_running

    def up(self, extent: Extent = Extent.EVERYTHING, progress: Progress = silent) -> None:
        """Start missing processes, and return when all are ready."""
        bring_up(self._path, self._port_base, self._rabbitmq_nodes, extent, progress)

    def down(self, progress: Progress = silent, delete_data: bool = False) -> None:
        """Stop everything. Afterwards no process of the stack is left, in any state.

        With `delete_data` the home is deleted as well, and PostgreSQL's data outside it.
        """
        known = existing_home(self._path)
        if known is not None:
            with locked(known):
                take_down(known, progress)
                if delete_data:
                    delete_home(known)

    def status(self) -> dict[str, Any]:
        """Return the addresses and the processes' states; StackError if there never was a stack here."""
        known = existing_home(self._path)
        if known is None:
            raise StackError(f"there is no stack in {self._path}")
        return status_of(known)

    def stop(self, name: str) -> None:
        """Stop one process gracefully; it stays stopped until `start` or `up`."""
        self._supervisor(name).stop(name)
        spec = read_specs(self.home.programs_file)[name]
        if spec.listen:
            release(Path(spec.socket_manager), spec.listen)

    def start(self, name: str) -> None:
        """Start one process. Does not wait until it is ready."""
        self._supervisor(name).start(name)

    def restart(self, *names: str, progress: Progress = silent) -> None:
        """Restart processes one after the other, all except the servers if none is named; no request fails."""
        for name in names or (plan.SOCKET_MANAGER,):
            self._supervisor(name)
        restart(self.home, names, progress)

    def kill(self, name: str) -> None:
        """Kill one process with signal 9; the supervisor restarts it."""
        pid = self.pid(name)
        if pid is None:
            raise StackError(f"{name} does not run")
        os.kill(pid, signal.SIGKILL)

    def pid(self, name: str) -> int | None:
        """Return the process's pid, or None while it does not run."""
        return self._supervisor(name).processes()[name]["pid"] or None

    def _supervisor(self, name: str) -> Supervisor:
        known = existing_home(self._path)
        if known is None or not (supervisor := Supervisor(known)).is_running:
            raise StackError(f"no stack runs in {self._path}")
        if name not in (known_names := supervisor.processes()):
            raise StackError(f"the stack has no process {name}; it has {', '.join(sorted(known_names))}")
        return supervisor
