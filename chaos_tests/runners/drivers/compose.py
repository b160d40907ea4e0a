"""The compose driver: a stack that `docker compose` runs.

It kills, freezes, stops, cuts off and scales containers.

Only the local driver supports faults that need a proxy, the supervisor or files of the servers. Services of the compose
file have the names of the process table. The environment has the addresses: HOLDFAST_PASSWORD (the operator's) and
HOLDFAST_RABBITMQ_MANAGEMENT (with user and password), HOLDFAST_URL and HOLDFAST_LEDGER if they are not the defaults.
Containers are found by Compose's labels, and inspected, killed and paused by the engine's own command: docker-compose
takes a second to start, too long for ten polls per second.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from chaos_tests.runners.drivers.driver import OURS
from chaos_tests.runners.process_tree import run_program
from chaos_tests.runners.rollback_journal import RollbackJournal
from holdfast.target import SANDBOX_KEY, Target
from infrastructure.local.readiness import holds_within

COMMAND = ("docker-compose",) if shutil.which("docker-compose") else ("docker", "compose")
READY_SECONDS = 120.0
KILLED = 128 + signal.SIGKILL
READY = {"Status": "healthy"}
GATEWAY, LEDGER = "http://127.0.0.1:8000", "http://127.0.0.1:8016"
PASSWORD, MANAGEMENT = "HOLDFAST_PASSWORD", "HOLDFAST_RABBITMQ_MANAGEMENT"


def unset() -> list[str]:
    """The names of missing environment variables."""
    return [name for name in (PASSWORD, MANAGEMENT) if not os.environ.get(name)]


class Compose:
    """The containers of one project."""

    name = "compose"

    def __init__(self, project: str) -> None:
        self._project = project
        self.journal = RollbackJournal(Path(".holdfast-chaos") / f"broken-{project}.json")

    def target(self) -> Target:
        return Target(
            url=os.environ.get("HOLDFAST_URL", GATEWAY),
            operator_password=os.environ.get(PASSWORD, ""),
            management_url=os.environ.get(MANAGEMENT, ""),
            ledger_url=os.environ.get("HOLDFAST_LEDGER", LEDGER),
            ledger_key=SANDBOX_KEY,
        )

    def identity(self, process: str) -> str:
        states = [self._state(container) for container in self._there(process)]
        return ", ".join(f"container since {state['StartedAt']}" for state in states if state["Running"])

    def is_ready(self, process: str) -> bool:
        """Whether each of its containers runs and is healthy, if it has a health check."""
        states = [self._state(container) for container in self._there(process)]
        return all(state["Running"] and state.get("Health", READY)["Status"] == "healthy" for state in states)

    def kill(self, process: str) -> None:
        self._docker("kill", *self._there(process))

    def revive(self, process: str) -> None:
        """Start it if it does not run: Docker does not restart a container after `docker kill`."""
        self._docker("start", *self._there(process))

    def pause(self, process: str) -> None:
        self._docker("pause", *self._there(process))

    def resume(self, process: str) -> None:
        for container in self.containers(process):
            if self._state(container)["Paused"]:
                self._docker("unpause", container)

    def is_paused(self, process: str) -> bool:
        states = [self._state(container) for container in self.containers(process)]
        return bool(states) and all(state["Paused"] for state in states)

    def stop(self, process: str) -> None:
        """Raises `OSError` if the engine had to kill it after the grace period."""
        self._compose_do("stop", process)
        if any(self._state(container)["ExitCode"] == KILLED for container in self._there(process)):
            message = f"{process} did not stop within its grace period and was killed"
            raise OSError(message)

    def start(self, process: str) -> None:
        self._compose_do("start", process)

    def roll(self, processes: list[str]) -> None:
        for process in processes or OURS:
            self.stop(process)
            self.start(process)
            self._wait_until_ready(process)

    def disconnect(self, process: str) -> None:
        """Disconnect a container from its networks."""
        for container in self.containers(process):
            for network in self._networks(container):
                self._docker("network", "disconnect", network, container)

    def connect(self, process: str, networks: list[str]) -> None:
        for container in self.containers(process):
            for network in set(networks) - set(self._networks(container)):
                self._docker("network", "connect", "--alias", process, network, container)

    def networks(self, process: str) -> list[str]:
        return sorted({network for container in self.containers(process) for network in self._networks(container)})

    def scale(self, process: str, count: int) -> None:
        self._compose_do("up", "--detach", "--no-deps", "--no-recreate", "--scale", f"{process}={count}", process)

    def count(self, process: str) -> int:
        return len(self.containers(process))

    def containers(self, process: str) -> list[str]:
        """The numbers of its containers, running or not."""
        compose = "com.docker.compose"
        labels = (f"{compose}.project={self._project}", f"{compose}.service={process}", f"{compose}.oneoff=False")
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        return self._docker("ps", "--all", "--quiet", *filters).split()

    def _there(self, process: str) -> list[str]:
        """Raises `LookupError` if there is none."""
        if not (found := self.containers(process)):
            message = f"the project {self._project} has no container of {process}"
            raise LookupError(message)
        return found

    def _wait_until_ready(self, process: str) -> None:
        """Raises `TimeoutError`."""
        if not holds_within(lambda: self.is_ready(process), READY_SECONDS, 0.5):
            message = f"{process} is not healthy after {READY_SECONDS:.0f} s"
            raise TimeoutError(message)

    def _state(self, container: str) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._docker("inspect", "--format", "{{json .State}}", container))
        return state

    def _networks(self, container: str) -> list[str]:
        return list(json.loads(self._docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container)))

    def _compose_do(self, *words: str) -> str:
        return run_program(*COMMAND, "--project-name", self._project, *words)

    def _docker(self, *words: str) -> str:
        return run_program("docker", *words)
