"""From the process table to what is executed on this machine."""

import sys

from infrastructure.local import gateway
from infrastructure.local.credentials import Credentials
from infrastructure.local.environment import environment_of
from infrastructure.local.home import Home
from infrastructure.local.programs import Program
from infrastructure.local.servers import mongodb, postgres, rabbitmq
from infrastructure.local.spec import Spec
from infrastructure.processes import PROCESSES, Process


def supervised(home: Home, programs: dict[str, Program], credentials: Credentials) -> list[Spec]:
    """Return how each supervised process is run. Prepares data directories and configuration files."""
    home.data("sandbox").mkdir(mode=0o700, exist_ok=True)
    ours = [line for line in PROCESSES if line.command and not line.is_job]
    return [
        *postgres.specs(home, programs["postgres"], credentials),
        *rabbitmq.specs(home, programs["rabbitmq"], credentials),
        *mongodb.specs(home, programs["mongodb"], credentials),
        *(spec_of(line, home, credentials) for line in ours),
        *gateway.specs(home, programs["gateway"]),
    ]


def spec_of(line: Process, home: Home, credentials: Credentials) -> Spec:
    """Return how a line of the table that has a command is run."""
    interpreter, *rest = line.command
    words = [sys.executable if interpreter == "python" else interpreter, *rest]
    return Spec(line.name, words, environment_of(line, home, credentials))
