"""The state of a stack: every address with working credentials, and every process."""

from typing import Any

from infrastructure.local.credentials import load_credentials
from infrastructure.local.home import Home
from infrastructure.local.supervision import Supervisor
from infrastructure.local.urls import Urls
from infrastructure.processes import RELATIONAL_CONTEXTS

RUNNING = "running"
_STOPPED = {"pid": 0, "statename": "STOPPED"}
# Erlang's port mapper is part of the broker, not a process of the system.
_HIDDEN = "epmd"


def status_of(home: Home) -> dict[str, Any]:
    """Return the stack's addresses and processes, running or not."""
    urls = Urls(home, load_credentials(home))
    supervisor = Supervisor(home)
    known = supervisor.processes() if supervisor.is_running else {}
    return {
        "gateway": urls.http("gateway"),
        "rabbitmq": urls.rabbitmq,
        "rabbitmq_management": urls.rabbitmq_management,
        "postgres": {context: urls.database(context) for context in RELATIONAL_CONTEXTS},
        "mongodb": urls.mongodb_administrator,
        "sandbox": urls.http("sandbox"),
        "mail_catcher": urls.http("mail-catcher"),
        "flower": urls.flower,
        "processes": [
            _process(line.name, known.get(line.name, _STOPPED), home.port(line.name))
            for line in home.processes
            if not line.is_job and line.name != _HIDDEN
        ],
    }


def _process(name: str, info: dict[str, Any], port: int) -> dict[str, Any]:
    return {"name": name, "pid": info["pid"] or None, "state": info["statename"].lower(), "port": port}
