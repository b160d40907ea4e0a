"""Mending: the owners are asked to tell an order's end again and to look at a payment again; then all is read again.

Nothing is changed here, and nothing is decided: each owner does what its own rules say is still to be done, and both
requests are safe at any time. So what a rule does not cover stays as it is and is reported: a product's own numbers, an
order that is open (it ends by its time-out), an event that only the archive has lost and nobody can tell again.
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
    """One thing that an owner was asked; `refusal` is empty if it agreed."""

    subject: str
    path: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Repair:
    """What was broken, what was asked, and what became of it."""

    before: list[Finding]
    requests: list[Request] = field(default_factory=list)
    after: list[Finding] = field(default_factory=list)

    @property
    def mended(self) -> list[Finding]:
        return [finding for finding in self.before if finding not in self.after]

    def why_not(self, finding: Finding) -> str:
        """Why this one is not mended, as far as is known here."""
        requests = [request for request in self.requests if request.subject == finding.subject]
        if not requests:
            return "no owner can be asked about it"
        refusals = [request.refusal for request in requests if request.refusal]
        return "; ".join(refusals) or "its owners were asked, and had nothing left to do"


def ask_owners(client: Client, verdict: Verdict, progress: Callable[[str], None]) -> Repair:
    """Ask about every order that a finding names. Raises requests' exceptions; a refusal is noted."""
    repair = Repair(verdict.findings)
    for subject in sorted({finding.subject for finding in verdict.findings}):
        view = verdict.reading.orders.get(subject)
        for path in _paths(view) if view else ():
            progress(path)
            repair.requests.append(_ask(client, subject, path))
    return repair


def document(repair: Repair) -> dict[str, Any]:
    """For programs."""
    asked = [{"subject": each.subject, "path": each.path, "refusal": each.refusal or None} for each in repair.requests]
    return {
        "asked": asked,
        "mended": [_said(finding) for finding in repair.mended],
        "not_mended": [_said(finding) | {"why": repair.why_not(finding)} for finding in repair.after],
    }


def _paths(view: OrderView) -> Iterator[str]:
    # The payment first: what it finds at the provider may end the order.
    for payment in view.payments:
        yield f"/api/v1/payments/{payment['id']}/re-check"
    if view.order and view.status not in OPEN:
        yield f"/api/v1/orders/{view.id}/re-emit"


def _ask(client: Client, subject: str, path: str) -> Request:
    try:
        client.post(path)
    except ApiError as error:
        return Request(subject, path, str(error))
    return Request(subject, path)


def _said(finding: Finding) -> dict[str, str]:
    return {"promise": finding.promise, "subject": finding.subject, "text": finding.text}
