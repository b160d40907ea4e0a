"""Repairs: the requests to the owners, and the report."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from holdfast.audit.repair import Repair, Request, document, request_repairs
from holdfast.audit.run import Verdict
from holdfast.audit.views import Finding, OrderView, Reading
from holdfast.client import Client
from holdfast.tests.audit_views import GOOD, order

if TYPE_CHECKING:
    from collections.abc import Iterator

PAID = replace(GOOD, payments=({"id": "payment-1"},))


class Owners(Client):
    """A client of owners that accept every request except configured ones. They are HTTP servers."""

    def __init__(self, url: str, requests: list[str], refused: list[str]) -> None:
        super().__init__(url)
        self.requests, self.refused = requests, refused


@pytest.fixture
def owners() -> Iterator[Owners]:
    requests: list[str] = []
    refused: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(self.path)
            refuses = any(part in self.path for part in refused)
            body = json.dumps({"code": "unavailable", "detail": "later"} if refuses else {}).encode()
            self.send_response(503 if refuses else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield Owners(f"http://127.0.0.1:{server.server_port}", requests, refused)
        server.shutdown()
        thread.join(60)


def broken(*views: OrderView, also: tuple[Finding, ...] = ()) -> Verdict:
    findings = [Finding("P1", view.id, "broken") for view in views]
    reading = Reading({view.id: view for view in views}, {}, 0, 0, 0)
    return Verdict(reading, [*findings, *also], len(views))


def ask(owners: Owners, verdict: Verdict) -> Repair:
    return request_repairs(owners, verdict, lambda _what: None)


def test_a_finished_order_has_its_payment_re_checked_and_its_final_event_resent(owners: Owners) -> None:
    ask(owners, broken(PAID))
    assert owners.requests == ["/api/v1/payments/payment-1/re-check", f"/api/v1/orders/{PAID.id}/re-emit"]


@pytest.mark.parametrize("view", [replace(PAID, order=order("reserved")), replace(PAID, order=None)])
def test_no_final_event_is_requested_for_an_open_or_unknown_order(owners: Owners, view: OrderView) -> None:
    ask(owners, broken(view))
    assert [path.rpartition("/")[2] for path in owners.requests] == ["re-check"]


def test_nothing_is_requested_for_findings_without_an_order(owners: Owners) -> None:
    finding = Finding("P3", "TEA", "sold too often")
    repair = replace(ask(owners, broken(also=(finding,))), after=[finding])
    assert owners.requests == []
    assert repair.why_not(finding) == "no owner can repair it"


def test_a_rejection_is_recorded_and_the_other_requests_are_made(owners: Owners) -> None:
    owners.refused.append("payments")
    verdict = broken(PAID)
    repair = replace(ask(owners, verdict), after=verdict.findings)
    assert len(owners.requests) == 2
    assert repair.why_not(verdict.findings[0]) == "503 unavailable: later"


def test_the_report_lists_repaired_and_remaining_findings() -> None:
    repaired, left = Finding("P1", "a", "x"), Finding("P4", "b", "y")
    made = document(Repair([repaired, left], [Request("a", "/a"), Request("b", "/b")], [left]))
    assert made == {
        "asked": [
            {"subject": "a", "path": "/a", "refusal": None},
            {"subject": "b", "path": "/b", "refusal": None},
        ],
        "mended": [{"promise": "P1", "subject": "a", "text": "x"}],
        "not_mended": [
            {"promise": "P4", "subject": "b", "text": "y", "why": "its owners were asked, and had nothing to repair"}
        ],
    }
