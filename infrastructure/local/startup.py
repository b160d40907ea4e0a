"""Starts a stack: servers, accounts, one-shot jobs, processes, gateway, each phase ready before the next.

Guarantee: running processes are not changed. Processes left over from a crash of this home are stopped first. Every
wait has a time-out; a process that keeps failing is reported before the time-out.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

from infrastructure.local import plan, proctable
from infrastructure.local.accounts import database_account, postgres_data
from infrastructure.local.credentials import load_credentials
from infrastructure.local.errors import NotReadyError, StackError
from infrastructure.local.fetch import ensure_servers
from infrastructure.local.home import Home, existing_home, locked, open_home, remember
from infrastructure.local.jobs import run_jobs
from infrastructure.local.ports import assert_ports_free, choose_ports
from infrastructure.local.progress import Progress, Step, note
from infrastructure.local.readiness import probe_http, probe_port, wait_for
from infrastructure.local.run import quick_ends
from infrastructure.local.servers import mongodb, postgres, rabbitmq
from infrastructure.local.servers.ready import READY
from infrastructure.local.spec import read_specs, write_specs
from infrastructure.local.supervision import Supervisor
from infrastructure.processes import Phase, Process, process


class Extent(Enum):
    """How much of a stack is started."""

    SERVERS = "PostgreSQL, RabbitMQ and MongoDB, each with its accounts"
    PREPARED_SERVERS = "the servers with tables, queues and first users, and the payment sandbox"
    EVERYTHING = "all processes"


_SERVERS = (postgres, rabbitmq, mongodb)
_READY_SECONDS = 120
_HOPELESS_ENDS = 4
_ORPHAN_GRACE_SECONDS = 10


def bring_up(path: Path, port_base: int | None, rabbitmq_nodes: int | None, extent: Extent, progress: Progress) -> None:
    """Start missing processes; return when all are ready, else raise StackError."""
    home = open_home(path, port_base, rabbitmq_nodes)
    known = existing_home(path)
    if known is None and port_base is None:
        chosen = choose_ports(home)
        if chosen != home:
            text = f"ports from {home.port_base} on are in use; this stack takes those from {chosen.port_base} on"
            note(progress, text)
            home = chosen
    elif known and known.port_base != home.port_base and Supervisor(known).is_running:
        raise StackError(f"a stack runs in {path} with port base {known.port_base}; stop it before moving it")
    Startup(home, progress).run(extent)


class Startup:
    """One run of `up`."""

    def __init__(self, home: Home, progress: Progress) -> None:
        self._home = home
        self._progress = progress
        self._supervisor = Supervisor(home)
        self._credentials = load_credentials(home)

    def run(self, extent: Extent) -> None:
        programs = ensure_servers(lambda line: note(self._progress, line))
        with locked(self._home):
            fresh = not self._supervisor.is_running
            if fresh:
                self._clear()
            remember(self._home)
            planned = {spec.name: spec for spec in plan.supervised(self._home, programs, self._credentials)}
            # A second `up` does not change running processes: they may have been started with other settings, and the
            # others may use the proxies of a chaos run.
            kept = {} if fresh else read_specs(self._home.programs_file)
            specs = list((planned | kept).values())
            write_specs(self._home, specs)
            self._supervisor.configure(specs)
            if fresh:
                self._supervisor.launch()
            self._start_servers()
            if extent is Extent.PREPARED_SERVERS:
                self._run_jobs()
                self.start([process("sandbox"), process("mail-catcher")])
            elif extent is Extent.EVERYTHING:
                self._start_the_rest()

    def _clear(self) -> None:
        orphans = proctable.stack_processes(self._home)
        if orphans:
            note(self._progress, f"ending {len(orphans)} processes that a crash has left running")
            proctable.end(orphans, _ORPHAN_GRACE_SECONDS)
        for path in self._home.run.glob("pace-*.json"):
            path.unlink()
        assert_ports_free(self._home)
        account = database_account()
        data = postgres_data(self._home.path, self._credentials.identity, account)
        if account and self._home.path not in data.parents:
            note(
                self._progress,
                f"PostgreSQL runs as {account.name}, which cannot reach the home: its data is in {data}",
            )

    def _start_servers(self) -> None:
        # The port mapper first: a broker without one starts an unsupervised one.
        servers = self._lines(Phase.SERVERS)
        self.start([line for line in servers if line.name == "epmd"])
        self.start([line for line in servers if line.name != "epmd"])
        for server in _SERVERS:
            server.provision(self._home, self._credentials)

    def _start_the_rest(self) -> None:
        self._supervisor.start(plan.SOCKET_MANAGER)
        if not self._is_complete():
            self._run_jobs()
        self.start(self._lines(Phase.PROCESSES))
        self.start(self._lines(Phase.GATEWAY))

    def _run_jobs(self) -> None:
        for phase in (Phase.SCHEMA, Phase.SEED):
            specs = [plan.spec_of(line, self._home, self._credentials) for line in self._lines(phase)]
            run_jobs(self._home, specs, self._progress)

    def _is_complete(self) -> bool:
        known = self._supervisor.processes()
        return all(known[line.name]["statename"] == "RUNNING" for line in self._home.processes if not line.is_job)

    def start(self, lines: list[Process]) -> None:
        """Start the processes and wait until all of them are ready; StackError names those that are not."""
        for line in lines:
            self._progress(Step(line.name, "starting"))
            self._supervisor.start(line.name)
        with ThreadPoolExecutor(max_workers=len(lines)) as pool:
            failures = [failure for failure in pool.map(self._await, lines) if failure]
        if failures:
            raise StackError("\n\n".join(map(str, failures)))

    def _await(self, line: Process) -> NotReadyError | None:
        began = time.monotonic()
        try:
            # Nodes of a cluster wait for each other, and share the machine's processors while they start.
            wait_for(lambda: self._check(line), _READY_SECONDS * self._home.rabbitmq_nodes, "no answer")
        except StackError as error:
            self._progress(Step(line.name, "failed"))
            return NotReadyError(line.name, str(error), self._home.log(line.name))
        self._progress(Step(line.name, "ready", f"{time.monotonic() - began:.1f} s"))
        return None

    def _check(self, line: Process) -> None:
        if quick_ends(self._home.run, line.name) >= _HOPELESS_ENDS:
            raise StackError("it exits after each start")
        if line.name in READY:
            READY[line.name](self._home, self._credentials)
        elif line.probe:
            probe_http(self._home.port(line.name), line.probe)
        else:
            probe_port(self._home.port(line.name))
        state = self._supervisor.processes()[line.name]["statename"]
        if state != "RUNNING":
            # The supervisor reports it as running only after a moment; after `up`, `status` must show it.
            raise ConnectionError(f"it is {state.lower()}")

    def _lines(self, phase: Phase) -> list[Process]:
        return [line for line in self._home.processes if line.phase == phase]
