"""Access control and rejections of the HTTP API: `api.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from common.tests.sample_service import bearer
from holdfast.control.audit_run import AuditRunningError
from holdfast.control.tests.conftest import Recorder, injecting, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPERATOR = {"role": "operator", "sub": "olga"}
ACTS = ("faults", "undo", "audits")


class Runs:
    """An audit that starts once and does not end."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None

    def start(self, token: str, by: str) -> None:
        if self.state:
            raise AuditRunningError
        self.state = {"state": "running", "by": by, "token_bytes": len(token)}


@pytest.fixture
def url(recorder: Recorder, tmp_path: Path) -> Iterator[str]:
    with injecting(recorder, tmp_path) as injection, serving(injection, recorder, Runs()) as address:
        yield f"{address}/api/v1/control"


def ask(method: str, url: str, body: Any = None, **headers: str) -> requests.Response:
    return requests.request(method, url, json=body, headers=bearer(**OPERATOR) | headers, timeout=60)


def code(reply: requests.Response) -> tuple[int, str]:
    assert reply.headers["Content-Type"] == "application/problem+json"
    return reply.status_code, reply.json()["code"]


@pytest.mark.parametrize("path", ["", *ACTS])
def test_only_an_operators_token_is_accepted(url: str, recorder: Recorder, path: str) -> None:
    method, address = ("POST", f"{url}/{path}") if path else ("GET", url)
    body = {"fault": "lasting", "seconds": 60}
    for headers, expected in (
        ({}, (401, "unauthenticated")),
        ({"Authorization": "Basic b2xnYTp4"}, (401, "unauthenticated")),
        ({"Cookie": "holdfast_console=x"}, (401, "unauthenticated")),
        ({"Authorization": "Bearer nonsense"}, (401, "invalid_token")),
        (bearer(), (403, "forbidden")),
        (bearer(**OPERATOR) | {"Origin": "http://127.0.0.1:8000"}, (403, "from_a_browser")),
        (bearer(**OPERATOR) | {"Sec-Fetch-Site": "same-origin"}, (403, "from_a_browser")),
    ):
        assert code(requests.request(method, address, json=body, headers=headers, timeout=60)) == expected
    assert recorder.calls == []


def test_cross_origin_requests_of_browsers_are_rejected(url: str) -> None:
    asks = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    reply = requests.options(f"{url}/faults", headers=asks, timeout=60)
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def test_a_fault_is_injected_shown_and_undone(url: str, recorder: Recorder) -> None:
    reply = ask("POST", f"{url}/faults", {"fault": "lasting", "seconds": 60})
    assert reply.status_code == 201
    assert code(ask("POST", f"{url}/faults", {"fault": "momentary", "target": "a"})) == (409, "fault_active")
    shown = ask("GET", url).json()
    assert [each["id"] for each in shown["faults"]] == ["lasting", "momentary"]
    assert 0 < shown["active"]["left_seconds"] <= 60
    assert [(act["act"], act["by"]) for act in shown["acts"]] == [("injected", "olga")]
    assert ask("POST", f"{url}/undo").json() == {"undone": True, "active": None}
    assert recorder.calls == [("inject", "lasting", ""), ("undo", "lasting", "")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"fault": "rm -rf"}, (404, "no_such_fault")),
        ({"fault": "momentary", "target": "postgres"}, (422, "no_such_target")),
        ({"fault": "lasting", "target": "a"}, (422, "no_such_target")),
        ({"fault": "lasting", "seconds": 301}, (422, "validation_failed")),
        ({"fault": "lasting", "seconds": 1}, (422, "validation_failed")),
        ({"fault": "lasting", "more": 1}, (422, "validation_failed")),
        ([], (422, "validation_failed")),
        ({"fault": "x" * 5000}, (413, "too_large")),
    ],
)
def test_only_listed_faults_are_accepted(url: str, recorder: Recorder, body: Any, expected: tuple[int, str]) -> None:
    assert code(ask("POST", f"{url}/faults", body)) == expected
    assert recorder.calls == []


def test_a_failed_injection_is_reported_with_its_reason(url: str, recorder: Recorder) -> None:
    recorder.failures["inject"] = 1
    reply = ask("POST", f"{url}/faults", {"fault": "lasting"})
    assert code(reply) == (409, "not_injected")
    assert "inject failed" in reply.json()["detail"]
    assert ask("GET", url).json()["active"] is None


def test_a_second_concurrent_audit_is_rejected(url: str) -> None:
    reply = ask("POST", f"{url}/audits")
    assert reply.status_code == 202
    assert reply.json()["audit"]["by"] == "olga"
    assert code(ask("POST", f"{url}/audits")) == (409, "audit_running")
    assert ask("GET", url).json()["audit"]["state"] == "running"
