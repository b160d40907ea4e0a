"""Faults of the provider on a real sandbox: `faults.py`. Faults of processes are tested end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from holdfast.control import faults as control_faults
from holdfast.control.faults import Faults
from infrastructure.local.errors import StackError
from infrastructure.local.home import open_home
from infrastructure.sandbox.tests.process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    (tmp_path / "sandbox").mkdir()
    running = SandboxProcess(tmp_path / "sandbox").start()
    yield running
    running.terminate()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_faults, "_SANDBOX_SECONDS", 60.0)


def kinds(sandbox: SandboxProcess) -> list[str]:
    return [each["kind"] for each in requests.get(f"{sandbox.url}/faults", timeout=60).json()["data"]]


@pytest.mark.parametrize(("fault", "kind"), [("provider-errors", "error"), ("provider-hangs", "hang")])
def test_the_provider_fails_until_the_fault_is_undone(
    sandbox: SandboxProcess, tmp_path: Path, fault: str, kind: str
) -> None:
    requests.post(f"{sandbox.url}/faults", json={"kind": "latency"}, timeout=60).raise_for_status()
    faults = Faults(open_home(tmp_path / "home", 9000), sandbox.url)
    faults.inject(fault, "")
    assert sorted(kinds(sandbox)) == sorted([kind, "latency"])
    for _ in range(2):
        faults.undo(fault, "")
        assert kinds(sandbox) == ["latency"], "somebody else's stays"


def test_provider_faults_are_not_offered_without_the_sandbox(stack_faults: Faults) -> None:
    offered = {fault.id for fault in stack_faults if stack_faults.is_available(fault)}
    assert offered == {"broker-paused", "worker-killed", "worker-stopped"}


def test_only_workers_are_targets(stack_faults: Faults) -> None:
    for fault in stack_faults:
        assert all(name.startswith("worker-") for name in fault.targets)
    assert "worker-payments" in stack_faults.known["worker-killed"].targets


@pytest.mark.parametrize("fault", ["broker-paused", "worker-killed", "worker-stopped"])
def test_injection_fails_if_the_stack_is_down(stack_faults: Faults, fault: str) -> None:
    with pytest.raises(StackError):
        stack_faults.inject(fault, "worker-payments")
