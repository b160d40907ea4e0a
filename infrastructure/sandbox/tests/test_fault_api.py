import json
from typing import Any

import pytest
import requests

from infrastructure.sandbox.faults import MOST_FAULTS
from infrastructure.sandbox.tests.process import SandboxProcess


def call(sandbox: SandboxProcess, method: str, path: str = "/faults", **how: Any) -> requests.Response:
    return requests.request(method, sandbox.url + path, timeout=60, **how)


def listed(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    answer = call(sandbox, "GET").json()
    assert (answer["object"], answer["url"], answer["has_more"]) == ("list", "/faults", False)
    data: list[dict[str, Any]] = answer["data"]
    return data


def test_faults_are_replaced_added_listed_and_removed(sandbox: SandboxProcess) -> None:
    assert listed(sandbox) == []
    put = call(
        sandbox, "PUT", json=[{"kind": "latency"}, {"kind": "error", "rate": 0.5, "match": {"operation": "refund"}}]
    )
    assert put.status_code == 200
    added = call(sandbox, "POST", json={"kind": "hang", "seconds": 2, "remaining": 3, "seed": 1})
    assert added.status_code == 201
    latency, error, hang = listed(sandbox)
    assert hang == added.json()
    assert latency | {"id": ""} == {
        "kind": "latency", "rate": 1.0, "seconds": 1.0, "jitter_seconds": 0.0, "match": {}, "id": "", "struck": 0,
    }  # fmt: skip
    assert (error["status"], error["rate"], error["match"]) == (500, 0.5, {"operation": "refund"})
    assert call(sandbox, "GET", f"/faults/{error['id']}").json() == error
    assert call(sandbox, "DELETE", f"/faults/{error['id']}").json() == error
    assert listed(sandbox) == [latency, hang]
    assert call(sandbox, "DELETE", f"/faults/{error['id']}").status_code == 404
    assert call(sandbox, "DELETE").json()["data"] == []
    assert listed(sandbox) == []


def test_a_listed_fault_can_be_restored(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "error", "rate": 0.25}, {"kind": "reset", "match": {"path": "confirm$"}})
    before = call(sandbox, "GET").json()
    call(sandbox, "DELETE")
    assert call(sandbox, "PUT", json=before).status_code == 200
    after = listed(sandbox)
    assert [fault | {"id": ""} for fault in after] == [fault | {"id": ""} for fault in before["data"]]


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "explosion"},
        {"kind": None},
        {"kind": "error", "rate": 1.01},
        {"kind": "error", "rate": -0.1},
        {"kind": "error", "rate": "often"},
        {"kind": "error", "rate": None},
        {"kind": "error", "status": 200},
        {"kind": "error", "status": 600},
        {"kind": "error", "status": 500.5},
        {"kind": "error", "seconds": 1},
        {"kind": "reset", "status": 500},
        {"kind": "lost_answer", "after": True},
        {"kind": "latency", "seconds": -1},
        {"kind": "latency", "seconds": 301},
        {"kind": "latency", "jitter_seconds": -1},
        {"kind": "hang", "seconds": 10**9},
        {"kind": "hang", "after": "perhaps"},
        {"kind": "nonsense", "body": "poetry"},
        {"kind": "error", "body": "html"},
        {"kind": "error", "remaining": -1},
        {"kind": "error", "remaining": 1.5},
        {"kind": "error", "seed": "x"},
        {"kind": "error", "match": {"operation": "steal"}},
        {"kind": "error", "match": {"method": "BREW"}},
        {"kind": "error", "match": {"path": "("}},
        {"kind": "error", "match": {"path": "x" * 201}},
        {"kind": "error", "match": {"place": "here"}},
        {"kind": "error", "match": []},
        {"kind": "error", "rat": 0.5},
        [],
        "error",
        7,
        None,
    ],
)
def test_invalid_faults_are_rejected_and_change_nothing(sandbox: SandboxProcess, fault: Any) -> None:
    sandbox.set_faults({"kind": "latency", "seconds": 0})
    before = listed(sandbox)
    for method, body in (("POST", fault), ("PUT", [{"kind": "error"}, fault])):
        answer = call(sandbox, method, data=json.dumps(body))
        assert answer.status_code == 422, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["status"], problem["code"]) == (422, "invalid_fault")
        assert problem["errors"]
    assert listed(sandbox) == before


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 5_000, b"kind=error"])
def test_malformed_json_is_rejected(sandbox: SandboxProcess, body: bytes) -> None:
    for method in ("PUT", "POST"):
        answer = call(sandbox, method, data=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert listed(sandbox) == []


def test_the_number_of_faults_is_bounded(sandbox: SandboxProcess) -> None:
    fault = {"kind": "error", "rate": 0}
    assert call(sandbox, "PUT", json=[fault] * (MOST_FAULTS + 1)).status_code == 422
    sandbox.set_faults(*[fault] * MOST_FAULTS)
    assert call(sandbox, "POST", json=fault).status_code == 409
    assert len(listed(sandbox)) == MOST_FAULTS


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/faults"), ("PUT", "/faults/{id}"), ("POST", "/faults/{id}")])
def test_other_methods_are_not_allowed(sandbox: SandboxProcess, method: str, path: str) -> None:
    sandbox.set_faults({"kind": "error"})
    answer = call(sandbox, method, path.format(id=listed(sandbox)[0]["id"]), json={"kind": "error"})
    assert answer.status_code == 405
    assert answer.headers["Allow"]


def test_faults_do_not_affect_the_admin_api_or_the_probes(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "reset"})
    for path in ("/faults", "/livez", "/readyz", "/metrics"):
        assert call(sandbox, "GET", path).status_code == 200
