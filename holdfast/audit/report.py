"""The audit's verdict as a table for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.table import Table

from holdfast.audit.promises import PROMISES

if TYPE_CHECKING:
    from holdfast.audit.run import Verdict
    from holdfast.audit.views import Reading
    from holdfast.client import Client

MAX_SHOWN = 20
MAX_REPORTED, MAX_TEXT = 100, 500  # reported findings, and characters of each


def compared(verdict: Verdict) -> dict[str, str]:
    """For each promise, what was compared."""
    reading = verdict.reading
    orders, products = len(reading.orders), len(reading.products)
    statuses = Counter(view.status for view in reading.orders.values())
    charges = sum(len(view.charges) for view in reading.orders.values())
    return {
        "P1": f"{orders} orders: {_counts(statuses)}",
        "P2": f"{orders} orders, {charges} intents of the provider",
        "P3": f"{products} products",
        "P4": f"{orders} orders against the provider's ledger{_elsewhere(reading)}",
        "P5": f"{reading.events} archived events; {_letters(reading)}",
        "P6": _deliveries(reading),
        "P7": f"{reading.dead_letters} dead letters, {len(reading.outage_letters)} of an outage",
    }


def table(verdict: Verdict) -> Table:
    broken = Counter(finding.promise for finding in verdict.findings)
    view = Table(title="Audit", title_justify="left", title_style="bold")
    view.add_column("", style="bold")
    view.add_column("promise")
    view.add_column("compared")
    view.add_column("verdict", justify="right")
    for promise, what in compared(verdict).items():
        state = f"[red]broken {broken[promise]}x" if broken[promise] else "[green]kept"
        view.add_row(promise, PROMISES[promise], what, state)
    return view


def document(verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": not verdict.findings,
        "promises": [
            {
                "promise": promise,
                "text": PROMISES[promise],
                "compared": what,
                "broken": sum(finding.promise == promise for finding in verdict.findings),
            }
            for promise, what in compared(verdict).items()
        ],
        "findings": [
            {"promise": finding.promise, "subject": finding.subject, "text": finding.text}
            for finding in verdict.findings
        ],
        "read_again": verdict.read_again,
        "behind_seconds": verdict.behind.seconds if verdict.behind else None,
        "dead_letters": verdict.reading.dead_letters,
        "unfiled_letters": verdict.reading.unfiled_letters,
        "waiting_messages": verdict.reading.waiting_messages,
    }


def figures(verdict: Verdict) -> dict[str, Any]:
    """The report for operations: the number of compared orders, the violations of each promise, the first findings."""
    broken = Counter(finding.promise for finding in verdict.findings)
    promises = [{"promise": promise, "broken": broken[promise]} for promise in compared(verdict)]
    findings = [
        {"promise": finding.promise, "subject": finding.subject[:MAX_TEXT], "text": finding.text[:MAX_TEXT]}
        for finding in verdict.findings[:MAX_REPORTED]
    ]
    return {"orders": len(verdict.reading.orders), "promises": promises} | ({"findings": findings} if findings else {})


def send(client: Client, verdict: Verdict) -> dict[str, Any]:
    """Record the verdict in the audited system; returns the record. Raises the client's errors."""
    recorded: dict[str, Any] = client.post("/api/v1/system/audits", figures(verdict))
    return recorded


def _elsewhere(reading: Reading) -> str:
    """External refunds, which the ledger does not show: counted as recorded by an operator."""
    count = sum(1 for view in reading.orders.values() if view.elsewhere)
    return f"; {count} recorded as returned another way" if count else ""


def _letters(reading: Reading) -> str:
    unfiled = f", {reading.unfiled_letters} not stored yet" if reading.unfiled_letters else ""
    return f"{reading.dead_letters} dead letters{unfiled}"


def _deliveries(reading: Reading) -> str:
    views = reading.endpoints.values()
    statuses = Counter(each["status"] for view in views for each in view.deliveries.values())
    return f"webhook endpoints: {len(views)}, deliveries: {_counts(statuses)}"


def _counts(statuses: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())) or "none"
