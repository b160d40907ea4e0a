"""The verdict is reported to the audited system; a failed report does not change it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from holdfast.audit.backlog import Backlog
from holdfast.audit.run import Verdict
from holdfast.audit.views import Finding
from holdfast.commands import audit as command
from holdfast.tests.audit_views import GOOD, shelf
from holdfast.tests.test_audit_run import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = "http://127.0.0.1:1"
BROKEN = [Finding("P3", "TEA-1", "oversold"), Finding("P3", "TEA-2", "oversold")]


class Gateway(ThreadingHTTPServer):
    """Issues tokens, and responds to a report with `status`."""

    def __init__(self, status: int) -> None:
        self.status, self.reports = status, list[Any]()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_token = self.path == "/api/v1/tokens"
        if not is_token:
            self.server.reports.append((self.path, self.headers["Authorization"], body))
        self.send_response(200 if is_token else self.server.status)
        self.end_headers()
        self.wfile.write(b'{"access_token": "t"}' if is_token else b"{}")

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(params=[201, 503, None], ids=["taken", "refused", "nobody there"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway | None]:
    if request.param is None:
        yield None
        return
    server = Gateway(request.param)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_waiting_is_reported_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    announce = command._announcer(Console(stderr=True))
    for _ in range(3):  # repeated at once: only one line is printed
        announce(Backlog(12, "700 messages in orders.events"))
    assert capsys.readouterr().err == "The system is behind by 12 s (700 messages in orders.events), waiting.\n"


@pytest.mark.parametrize(("findings", "code"), [([], 0), (BROKEN, 1)], ids=["kept", "broken"])
def test_the_exit_code_depends_only_on_the_verdict(
    gateway: Gateway | None, findings: list[Finding], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = Verdict(reading(shelf(), GOOD), findings, 0)
    monkeypatch.setattr(command, "audited", lambda *_: verdict)
    monkeypatch.setenv("HOLDFAST_PASSWORD", "secret")
    monkeypatch.setenv("HOLDFAST_RABBITMQ_MANAGEMENT", NOBODY)
    ended = CliRunner().invoke(command.audit, ["--url", gateway.url if gateway else NOBODY, "--json"])
    assert ended.exit_code == code
    assert json.loads(ended.stdout)["ok"] is (code == 0)
    reported = {"P1": 0, "P2": 0, "P3": len(findings), "P4": 0, "P5": 0, "P6": 0, "P7": 0}
    report: dict[str, Any] = {
        "orders": 1, "promises": [{"promise": name, "broken": broken} for name, broken in reported.items()]
    }  # fmt: skip
    if findings:
        report["findings"] = [{"promise": "P3", "subject": each.subject, "text": "oversold"} for each in findings]
    if gateway:
        assert gateway.reports == [("/api/v1/system/audits", "Bearer t", report)]
    assert ("could not be reported" in ended.stderr) is (gateway is None or gateway.status != 201)
