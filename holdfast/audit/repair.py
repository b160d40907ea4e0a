"""Repair: asks the owners to publish an order's final event again and to re-check a payment; then reads everything
again.

It changes and decides nothing itself: each owner completes its work by its own rules, and both requests are idempotent.
A finding that no rule covers is reported again: a product's own numbers, an open order (it ends by its time-out), an
event that only the archive has lost and no service can republish.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.audit.views import OPEN
from holdfast.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.audit.run import Verdict
    from holdfast.audit.views import Finding, OrderView
    from holdfast.client import Client


@dataclass(frozen=True, slots=True)
class Request:
    """One request to an owner; `refusal` is empty if it succeeded."""

    subject: str
    path: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Repair:
    """The findings, the requests, and the result."""

    before: list[Finding]
    requests: list[Request] = field(default_factory=list)
    after: list[Finding] = field(default_factory=list)

    @property
    def repaired(self) -> list[Finding]:
        return [finding for finding in self.before if finding not in self.after]

    def why_not(self, finding: Finding) -> str:
        """The reason why a finding was not repaired, if known."""
        requests = [request for request in self.requests if request.subject == finding.subject]
        if not requests:
            return "no owner can repair it"
        refusals = [request.refusal for request in requests if request.refusal]
        return "; ".join(refusals) or "its owners were asked, and had nothing to repair"


def request_repairs(client: Client, verdict: Verdict, progress: Callable[[str], None]) -> Repair:
    """Ask about every order of a finding. Raises requests' exceptions; a rejection is recorded."""
    repair = Repair(verdict.findings)
    for subject in sorted({finding.subject for finding in verdict.findings}):
        view = verdict.reading.orders.get(subject)
        for path in _paths(view) if view else ():
            progress(path)
            repair.requests.append(_request(client, subject, path))
    return repair


def document(repair: Repair) -> dict[str, Any]:
    """The result as JSON."""
    requests = [
        {"subject": each.subject, "path": each.path, "refusal": each.refusal or None} for each in repair.requests
    ]
    return {
        "asked": requests,
        "mended": [_document_of(finding) for finding in repair.repaired],
        "not_mended": [_document_of(finding) | {"why": repair.why_not(finding)} for finding in repair.after],
    }


def _paths(view: OrderView) -> Iterator[str]:
    # The payment first: its state at the provider may end the order.
    for payment in view.payments:
        yield f"/api/v1/payments/{payment['id']}/re-check"
    if view.order and view.status not in OPEN:
        yield f"/api/v1/orders/{view.id}/re-emit"


def _request(client: Client, subject: str, path: str) -> Request:
    try:
        client.post(path)
    except ApiError as error:
        return Request(subject, path, str(error))
    return Request(subject, path)


def _document_of(finding: Finding) -> dict[str, str]:
    return {"promise": finding.promise, "subject": finding.subject, "text": finding.text}
