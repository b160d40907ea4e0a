"""A rolling restart: one process after the other, each ready again before the next one is asked to end.

Guarantee: a process ends in its own good order (SIGTERM, its whole time to finish) and no request fails for it. While a
service is replaced its stand-in serves, at the same kept socket; what connects while the gateway is replaced waits
there for a moment. Each process runs with the settings that it had, and the code that is there now. The first one that
does not come back ends the restart: those after it, and its stand-in, go on as they are. Where it is the stand-in that
does not come, the process is left alone.
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

# Of the servers there is one each, and no request can wait for their return: they are restarted by name only.
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
    supervisor.stop(double)  # of a restart that was cut short
    youngest = _started_at(port)
    supervisor.start(double)
    try:
        youngest = _wait_for_younger(port, youngest)
    except StackError:
        supervisor.stop(double)  # it would be tried for ever
        raise
    supervisor.stop(line.name)
    startup.start([line])
    _wait_for_younger(port, youngest)
    supervisor.stop(double)


def _wait_for_younger(port: int, than: float) -> float:
    """Wait until an instance answers that was started later; both listen, so either may be the one that does."""
    seen = than

    def check() -> None:
        nonlocal seen
        if (seen := _started_at(port)) <= than:
            raise ConnectionError("only an older instance answers")

    wait_for(check, _READY_SECONDS, "no new instance answers")
    return seen


def _started_at(port: int) -> float:
    """Return when the instance was started that happens to answer; 0 if none does."""
    try:
        text = request_here("GET", f"http://{HOST}:{port}/metrics", _PROBE_SECONDS).text
    except requests.RequestException:
        text = ""
    found = _STARTED.search(text)
    return float(found[1]) if found else 0.0
