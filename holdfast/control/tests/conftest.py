"""Faults that are only recorded, and the control process's API on its own port."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest
import uvicorn

from common.tests.ports import free_port
from common.tests.sample_service import VERIFIER
from holdfast.control.api import Resources, create_app
from holdfast.control.faults import Fault, Faults
from holdfast.control.injection import Injection
from infrastructure.local.home import open_home
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.control.audit_run import AuditRun

LASTING = Fault("lasting", "It lasts", "")
MOMENTARY = Fault("momentary", "It is over at once", "", targets=("a", "b"), is_momentary=True)


@dataclass
class Recorder(Faults):
    """Records each call; fails as often as configured."""

    failures: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = {each.id: each for each in (LASTING, MOMENTARY)}

    def is_available(self, fault: Fault) -> bool:
        return fault.id in self.known

    def inject(self, fault_id: str, target: str) -> None:
        self._record("inject", fault_id, target)

    def undo(self, fault_id: str, target: str) -> None:
        self._record("undo", fault_id, target)

    def _record(self, act: str, fault_id: str, target: str) -> None:
        self.calls.append((act, fault_id, target))
        if self.failures.get(act, 0):
            self.failures[act] -= 1
            raise OSError(f"{act} failed")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@contextmanager
def injecting(faults: Faults, directory: Path) -> Iterator[Injection]:
    injection = Injection(faults, directory)
    try:
        yield injection
    finally:
        injection.close()


@contextmanager
def serving(injection: Injection, faults: Faults, run: object) -> Iterator[str]:
    port = free_port()
    app = create_app(Resources(faults, injection, cast("AuditRun", run), VERIFIER))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started, bool, seconds=60)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=60)


@pytest.fixture
def stack_faults(tmp_path: Path) -> Faults:
    """The real list of faults, for a stack that does not run."""
    return Faults(open_home(tmp_path / "home", 9000), None)
