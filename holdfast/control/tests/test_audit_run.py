"""Failed and concurrent audits: `audit_run.py`. Successful ones are tested end to end."""

from __future__ import annotations

import socket

import pytest

from holdfast import client
from holdfast.control.audit_run import AuditRun, AuditRunningError
from holdfast.target import Target
from tests.e2e.waiting import eventually


def target(url: str) -> Target:
    return Target(url, "", management_url=url, ledger_url=url, ledger_key="sk_test_sandbox")


def test_an_audit_of_an_unreachable_system_has_no_verdict() -> None:
    run = AuditRun(target("http://127.0.0.1:1"))
    run.start("t", "olga")
    state = eventually(lambda: run.state, lambda state: state is not None and state["state"] != "running", seconds=60)
    assert state
    assert (state["state"], state["by"], state["audit_id"], state["reading"]) == ("failed", "olga", None, "")
    assert "The system could not be read" in state["error"]
    run.start("t", "pavel")
    assert run.state
    assert run.state["by"] == "pavel"


def test_one_audit_runs_at_a_time_and_shows_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "READ_SECONDS", 300.0)  # it still runs when the second one is requested
    with socket.create_server(("127.0.0.1", 0)) as silent:
        run = AuditRun(target(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        run.start("t", "olga")
        reading = eventually(lambda: run.state and run.state["reading"], lambda what: what == "orders", seconds=60)
        assert reading
        with pytest.raises(AuditRunningError):
            run.start("t", "pavel")
