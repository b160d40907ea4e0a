from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from infrastructure.sandbox.tests.process import SandboxProcess


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = SandboxProcess(tmp_path_factory.mktemp("shared") / "data")
    try:
        yield process.start()
    finally:
        process.close()


@pytest.fixture
def sandbox(shared_sandbox: SandboxProcess) -> SandboxProcess:
    """The shared sandbox without faults; its ledger still has the charges of earlier tests."""
    shared_sandbox.set_faults()
    return shared_sandbox


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox that the test may stop and kill; not started yet."""
    process = SandboxProcess(tmp_path / "data")
    try:
        yield process
    finally:
        process.close()


@pytest.fixture
def client(sandbox: SandboxProcess) -> stripe.StripeClient:
    return sandbox.client()
