"""Turns the process table into the commands of this machine."""

import sys
from dataclasses import replace

from infrastructure.local import gateway
from infrastructure.local.credentials import Credentials
from infrastructure.local.environment import environment_of
from infrastructure.local.home import Home
from infrastructure.local.listeners import socket_manager_path
from infrastructure.local.programs import Program
from infrastructure.local.servers import mongodb, postgres, rabbitmq
from infrastructure.local.spec import Spec
from infrastructure.local.urls import HOST
from infrastructure.processes import Process

# Not one of the system's processes: other installations replace one of several replicas.
SOCKET_MANAGER = "keeper"


def supervised(home: Home, programs: dict[str, Program], credentials: Credentials) -> list[Spec]:
    """Return the spec of each supervised process. Prepares data directories and configuration files."""
    home.data("sandbox").mkdir(mode=0o700, exist_ok=True)
    ours = [line for line in home.processes if line.command and not line.is_job]
    return [
        *postgres.specs(home, programs["postgres"], credentials),
        *rabbitmq.specs(home, programs["rabbitmq"], credentials),
        *mongodb.specs(home, programs["mongodb"], credentials),
        _socket_manager(home),
        *(spec_of(line, home, credentials) for line in ours),
        *(_standby(spec_of(line, home, credentials)) for line in ours if _is_service(line)),
        *(_keeps_its_socket(spec, home) for spec in gateway.specs(home, programs["gateway"])),
    ]


def spec_of(line: Process, home: Home, credentials: Credentials) -> Spec:
    """Return the spec of a line of the table with a command."""
    interpreter, *rest = line.command
    words = [sys.executable if interpreter == "python" else interpreter, *rest]
    spec = Spec(line.name, words, environment_of(line, home, credentials))
    return _keeps_its_socket(spec, home) if _is_service(line) else spec


def stand_in(name: str) -> str:
    """Return the name of a service's stand-in, which serves while the first instance is restarted."""
    return f"{name}-stand-in"


def _is_service(line: Process) -> bool:
    return "gunicorn" in line.command


def _standby(spec: Spec) -> Spec:
    return replace(spec, name=stand_in(spec.name))


def _socket_manager(home: Home) -> Spec:
    words = [sys.executable, "-m", "infrastructure.local.socket_manager", str(socket_manager_path(home.socket))]
    return Spec(SOCKET_MANAGER, words, {})


def _keeps_its_socket(spec: Spec, home: Home) -> Spec:
    return replace(spec, listen=f"{HOST}:{home.port(spec.name)}", socket_manager=str(socket_manager_path(home.socket)))
