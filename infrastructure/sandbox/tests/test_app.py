import uuid

import requests

from infrastructure.sandbox.tests.process import SandboxProcess, intent_of


def test_probes_return_200(sandbox: SandboxProcess) -> None:
    for path in ("/livez", "/readyz"):
        answer = requests.get(sandbox.url + path, timeout=60)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert requests.post(f"{sandbox.url}/livez", timeout=60).status_code == 405
    head = requests.head(f"{sandbox.url}/livez", timeout=60)
    assert (head.status_code, head.content) == (200, b"")


def test_unknown_paths_return_a_problem(sandbox: SandboxProcess) -> None:
    answer = requests.get(f"{sandbox.url}/nowhere", timeout=60)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Request-Id"].startswith("req_")
    assert answer.json()["code"] == "not_found"


def test_metrics_count_requests_and_faults(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "error", "status": 502, "match": {"operation": "cancel"}})
    before = metric(sandbox, 'sandbox_requests_total{operation="cancel",status="502"}')
    sandbox.post("/v1/payment_intents/pi_1/cancel")
    assert metric(sandbox, 'sandbox_requests_total{operation="cancel",status="502"}') == before + 1
    assert metric(sandbox, 'sandbox_faults_total{kind="error"}') >= 1


def metric(sandbox: SandboxProcess, name: str) -> float:
    lines = requests.get(f"{sandbox.url}/metrics", timeout=60).text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def test_each_request_is_logged_as_one_json_line(sandbox: SandboxProcess) -> None:
    key = str(uuid.uuid4())
    sandbox.set_faults({"kind": "latency", "seconds": 0.01})
    intent = sandbox.client().v1.payment_intents.create(intent_of(), {"idempotency_key": key})
    (line,) = (line for line in sandbox.logged() if line.get("idempotency_key") == key)
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/payment_intents", "200")
    assert (line["operation"], line["faults"]) == ("create", ["latency"])
    assert line["request_id"].startswith("req_")
    assert line["duration_seconds"] >= 0.01
    assert str(intent.client_secret) not in sandbox.log.read_text()
