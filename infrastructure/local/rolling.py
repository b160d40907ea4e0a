"""A rolling restart: one process after the other, each ready again before the next one is stopped.

Guarantee: a process stops gracefully (SIGTERM, its whole grace period) and no request fails. While a service is
replaced its stand-in serves, on the same kept socket; connections during the replacement of the gateway wait for a
moment. Each process keeps its settings and runs the current code. The first one that does not become ready ends the
restart: later ones, and its stand-in, keep running. If the stand-in does not become ready, the process is not
restarted.
"""

import re
from collections.abc import Collection

import requests

from infrastructure.local import plan
from infrastructure.local.errors import StackError
from infrastructure.local.home import Home, locked
from infrastructure.local.progress import Progress, Step
from infrastructure.local.readiness import request_here, wait_for
from infrastructure.local.startup import Startup
from infrastructure.local.supervision import Supervisor
from infrastructure.local.urls import HOST
from infrastructure.processes import Phase, Process

# There is one server of each kind, and requests cannot wait for its restart: servers are restarted by name only.
_ROLLED = (Phase.PROCESSES, Phase.GATEWAY)
_STARTED = re.compile(r"^process_start_time_seconds (\S+)$", re.MULTILINE)
_READY_SECONDS = 120
_PROBE_SECONDS = 3


def restart(home: Home, names: Collection[str], progress: Progress) -> None:
    """Restart the named processes, or all but the servers. Raises StackError."""
    supervisor = Supervisor(home)
    startup = Startup(home, progress)
    with locked(home):
        known = supervisor.processes()
        for line in _chosen(home, names):
            progress(Step(line.name, "restarting"))
            double = plan.stand_in(line.name)
            if double in known:
                _replace(home, supervisor, startup, line, double)
            else:
                supervisor.stop(line.name)
                startup.start([line])


def _chosen(home: Home, names: Collection[str]) -> list[Process]:
    known = [line for line in home.processes if not line.is_job]
    if unknown := set(names) - {line.name for line in known}:
        raise StackError(f"the stack has no process {', '.join(sorted(unknown))}")
    return [line for line in known if (line.name in names if names else line.phase in _ROLLED)]


def _replace(home: Home, supervisor: Supervisor, startup: Startup, line: Process, double: str) -> None:
    port = home.port(line.name)
    supervisor.stop(double)  # left over from an interrupted restart
    youngest = _started_at(port)
    supervisor.start(double)
    try:
        youngest = _wait_for_younger(port, youngest)
    except StackError:
        supervisor.stop(double)  # otherwise it would be retried for ever
        raise
    supervisor.stop(line.name)
    startup.start([line])
    _wait_for_younger(port, youngest)
    supervisor.stop(double)


def _wait_for_younger(port: int, than: float) -> float:
    """Wait until a newer instance answers; both listen on the socket, so either may answer."""
    seen = than

    def check() -> None:
        nonlocal seen
        if (seen := _started_at(port)) <= than:
            raise ConnectionError("only an older instance answers")

    wait_for(check, _READY_SECONDS, "no new instance answers")
    return seen


def _started_at(port: int) -> float:
    """Return the start time of the answering instance; 0 if none answers."""
    try:
        text = request_here("GET", f"http://{HOST}:{port}/metrics", _PROBE_SECONDS).text
    except requests.RequestException:
        text = ""
    found = _STARTED.search(text)
    return float(found[1]) if found else 0.0
