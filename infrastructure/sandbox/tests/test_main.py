import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from common.tests.bad_settings import started_with
from common.tests.ports import free_port
from infrastructure.sandbox.main import main
from infrastructure.sandbox.tests.fault_effects import raw, wait_until_struck
from infrastructure.sandbox.tests.process import SandboxProcess


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infrastructure.sandbox.main"]
    whole = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=whole, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"SERVICE_PORT": "http"}, "SERVICE_PORT"),
        ({"SERVICE_PORT": "0"}, "SERVICE_PORT"),
        ({"SERVICE_PORT": "65536"}, "SERVICE_PORT"),
        ({"SANDBOX_DATA": ""}, "SANDBOX_DATA"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
    ],
)
def test_an_invalid_environment_is_named_at_once(tmp_path: Path, changed: dict[str, str], named: str) -> None:
    good = {"SERVICE_PORT": "1", "SANDBOX_DATA": str(tmp_path), "LOG_LEVEL": "INFO"}
    code, printed = started_with(main, good | changed)
    assert code == 2
    assert named in printed


def test_a_missing_variable_is_named() -> None:
    assert "SANDBOX_DATA" in run(SERVICE_PORT="1").stderr


def test_an_unusable_directory_or_port_is_reported_without_a_traceback(tmp_path: Path, sandbox: SandboxProcess) -> None:
    (tmp_path / "file").write_text("in the way")
    for directory, port in ((tmp_path / "file", free_port()), (tmp_path / "data", sandbox.port)):
        ended = run(SERVICE_PORT=str(port), SANDBOX_DATA=str(directory))
        assert ended.returncode == 1
        assert "cannot start" in ended.stdout
        assert "Traceback" not in ended.stdout + ended.stderr


def test_a_damaged_ledger_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "sandbox.sqlite3").write_bytes(b"not a database at all" * 100)
    ended = run(SERVICE_PORT=str(free_port()), SANDBOX_DATA=str(tmp_path))
    assert ended.returncode == 1
    assert "not a database" in ended.stdout


def test_started_requests_get_responses_before_shutdown(own_sandbox: SandboxProcess) -> None:
    own_sandbox.start().set_faults({"kind": "latency", "seconds": 60})  # ended early by the stop
    with ExitStack() as stack:
        connections = [stack.enter_context(raw(own_sandbox)) for _ in range(60)]
        wait_until_struck(own_sandbox, len(connections))
        own_sandbox.signal(signal.SIGTERM)
        answers = [connection.recv(65_536) for connection in connections]
        assert own_sandbox.wait() == 0
    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert own_sandbox.logged()[-1]["event"] == "stopped"
    assert not own_sandbox.answers()
