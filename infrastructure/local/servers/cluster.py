"""Forms a cluster of RabbitMQ's nodes: all are members, and every quorum queue has a member on each of them.

A queue that was declared while a node was down has fewer members for ever; here they are added. The broker's own
programs do that, and `run_tool` runs them.
"""

import subprocess
from pathlib import Path
from typing import Any

from infrastructure.local.errors import StackError
from infrastructure.local.home import Home
from infrastructure.local.readiness import request_here, wait_for
from infrastructure.local.spec import read_specs

_ASSEMBLE_SECONDS = 60
_ASK_SECONDS = 10
_COMMAND_SECONDS = 120


def assemble(home: Home, management_url: str) -> None:
    """Return when the nodes are one cluster and no queue lacks a member; StackError after a time-out."""
    names = {node.erlang_name for node in home.nodes}
    wait_for(lambda: _assert_running(management_url, names), _ASSEMBLE_SECONDS, "RabbitMQ's nodes are not a cluster")
    for name in sorted(_lacking(management_url, names)):
        run_tool(home, "rabbitmq-queues", "grow", name, "all")


def _assert_running(management_url: str, names: set[str]) -> None:
    running = {node["name"] for node in _request(management_url, "nodes") if node["running"]}
    if running != names:
        raise ConnectionError(f"{', '.join(sorted(running))} run, not {', '.join(sorted(names))}")


def _lacking(management_url: str, names: set[str]) -> set[str]:
    """The nodes without a member of some quorum queue."""
    queues = [queue for queue in _request(management_url, "queues") if queue.get("type") == "quorum"]
    return {name for queue in queues for name in names.difference(queue.get("members", names))}


def _request(management_url: str, what: str) -> list[dict[str, Any]]:
    reply = request_here("GET", f"{management_url}/api/{what}", _ASK_SECONDS)
    reply.raise_for_status()
    found: list[dict[str, Any]] = reply.json()
    return found


def run_tool(home: Home, program: str, *words: str) -> None:
    """Run one of the broker's own command-line programs on the first node. Raises StackError with its output."""
    spec = read_specs(home.programs_file)[home.nodes[0].name]
    done = subprocess.run(
        [str(Path(spec.words[0]).with_name(program)), *words],
        env=spec.environment,
        cwd=spec.directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_SECONDS,
    )
    if done.returncode != 0:
        raise StackError(f"{program} {' '.join(words)}: {(done.stderr or done.stdout).strip()[-300:]}")
