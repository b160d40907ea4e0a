"""The faults that the console may inject, each with its injection and its undo.

Undo is idempotent: it also runs after this process was killed.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infrastructure.local import proctable
from infrastructure.local.errors import StackError
from infrastructure.local.nodes import NODES
from infrastructure.local.readiness import request_here
from infrastructure.local.supervision import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrastructure.local.home import Home

_SANDBOX_SECONDS = 3.0
_ERROR = {"kind": "error"}
_HANG = {"kind": "hang"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the list. `targets` are the possible processes; `is_momentary`: there is nothing to undo."""

    id: str
    title: str
    effect: str
    targets: tuple[str, ...] = ()
    is_momentary: bool = False
    needs_sandbox: bool = False


class Faults:
    """The list for one stack. `sandbox_url` is None if the payment provider is Stripe itself."""

    def __init__(self, home: Home, sandbox_url: str | None) -> None:
        self._home, self._sandbox_url = home, sandbox_url
        self._supervisor = Supervisor(home)
        workers = tuple(line.name for line in home.processes if line.name.startswith("worker-"))
        self.known = {
            each.id: each
            for each in (
                Fault("provider-errors", "The payment provider fails", _PROVIDER_FAILS, needs_sandbox=True),
                Fault("provider-hangs", "The payment provider does not answer", _PROVIDER_HANGS, needs_sandbox=True),
                Fault("broker-paused", "RabbitMQ is paused", _BROKER_PAUSED),
                Fault("worker-killed", "A worker is killed", _WORKER_KILLED, targets=workers, is_momentary=True),
                Fault("worker-stopped", "A worker is stopped", _WORKER_STOPPED, targets=workers),
            )
        }

    def is_available(self, fault: Fault) -> bool:
        return self._sandbox_url is not None or not fault.needs_sandbox

    def inject(self, fault_id: str, target: str) -> None:
        """Raises StackError, OSError or requests' exceptions; then it may be partly injected."""
        if fault_id == "provider-errors":
            self._call_sandbox("POST", "", json=_ERROR)
        elif fault_id == "provider-hangs":
            self._call_sandbox("POST", "", json=_HANG)
        elif fault_id == "broker-paused":
            self._signal_broker(signal.SIGSTOP)
        elif fault_id == "worker-killed":
            self._kill(target)
        elif fault_id == "worker-stopped":
            self._supervisor.stop(target, wait=False)

    def undo(self, fault_id: str, target: str) -> None:
        """Raises like `inject`; then retry it."""
        if fault_id == "provider-errors":
            self._remove_from_sandbox(_ERROR)
        elif fault_id == "provider-hangs":
            self._remove_from_sandbox(_HANG)
        elif fault_id == "broker-paused":
            self._signal_broker(signal.SIGCONT)
        elif fault_id == "worker-stopped":
            self._start(target)

    def _kill(self, name: str) -> None:
        pid = self._supervisor.processes()[name]["pid"]
        if not pid:
            raise ProcessLookupError(f"{name} does not run")
        os.kill(pid, signal.SIGKILL)

    def _start(self, name: str) -> None:
        if self._supervisor.processes()[name]["statename"] == "STOPPING":  # then a start would be ignored
            raise StackError(f"{name} is still stopping")
        self._supervisor.start(name)

    def _signal_broker(self, number: signal.Signals) -> None:
        """Signal every process of the broker's nodes: each script and its children share a process group."""
        known = self._supervisor.processes()
        groups = {known[node.name]["pid"] for node in NODES if node.name in known} - {0}
        for process in [each for each in proctable.running() if each.group in groups]:
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue

    def _remove_from_sandbox(self, fault: dict[str, Any]) -> None:
        for each in self._call_sandbox("GET", "")["data"]:
            if each["kind"] == fault["kind"]:
                self._call_sandbox("DELETE", f"/{each['id']}")

    def _call_sandbox(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        reply = request_here(method, f"{self._sandbox_url}/faults{path}", _SANDBOX_SECONDS, **options)
        if reply.status_code != 404:  # noqa: PLR2004 - already removed
            reply.raise_for_status()
        found: dict[str, Any] = reply.json()
        return found

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.known.values())


_PROVIDER_FAILS = "Each call returns status 500. Orders wait with reserved stock, and confirm afterwards."
_PROVIDER_HANGS = "Each call hangs. Orders wait with reserved stock, and confirm afterwards."
_BROKER_PAUSED = "Its processes are stopped (SIGSTOP). Orders are accepted and wait in the outbox."
_WORKER_KILLED = "kill -9. The supervisor restarts it; unacknowledged events are redelivered."
_WORKER_STOPPED = "It is stopped and not restarted until the fault ends. Its events wait in its queue."
