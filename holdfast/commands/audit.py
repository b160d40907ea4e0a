"""holdfast audit: checks the promises from outside, order by order."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click
import requests
import stripe
from rich.console import Console

from holdfast.audit.ledger import Ledger
from holdfast.audit.reading import Reader
from holdfast.audit.repair import document as repair_document
from holdfast.audit.repair import request_repairs
from holdfast.audit.report import MAX_SHOWN, document, send, table
from holdfast.audit.run import Verdict
from holdfast.audit.run import audit as run_audit
from holdfast.client import ApiError
from holdfast.commands.options import EXIT_FAILED
from holdfast.target import target_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.audit.backlog import Backlog
    from holdfast.audit.repair import Repair
    from holdfast.target import Target

EXIT_UNKNOWN = 4
BEHIND_SECONDS = 300
ANNOUNCE_SECONDS = 10.0


@click.command()
@target_options
@click.option(
    "--settle",
    type=click.FloatRange(0, 3600),
    default=60,
    show_default=True,
    help="How many seconds to re-read a mismatch before it counts.",
)
@click.option(
    "--behind",
    type=click.FloatRange(0, 86400),
    default=BEHIND_SECONDS,
    show_default=True,
    help="How many more seconds to wait at most while the system reports a backlog.",
)
@click.option(
    "--repair", "wants_repair", is_flag=True, help="Ask the owning services to repair what is broken, and check again."
)
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON.")
def audit(target: Target, settle: float, behind: float, *, wants_repair: bool, as_json: bool) -> None:
    """Check the promises on the running system.

    It compares the API, the payment provider's ledger and the archive of events order by order, through public
    interfaces only, and may run under load: a mismatch is read again until it agrees or times out. While the system
    reports a backlog (`GET /api/v1/system`: outboxes, queues, sagas held up) it waits longer.

    With --repair it asks payments to re-check the payment of every inconsistent order, and orders to publish its final
    event again. Both are idempotent. Then it reads everything again, and reports what is still broken.

    It reports the verdict to the system: `GET /api/v1/system` and the metrics show the time and the findings of the
    last audit.

    Exit codes: 0 every promise is kept (with --repair: now); 1 one is broken; 3 no stack runs there; 4 the system could
    not be read.
    """
    progress = Console(stderr=True)
    verdict, repair = audited(target, settle, progress, behind), None
    if wants_repair and verdict.findings:
        repair = _repair(target, verdict, progress)
        verdict = audited(target, settle, progress, behind)
        repair = replace(repair, after=verdict.findings)
    if as_json:
        output = document(verdict) | ({"repair": repair_document(repair)} if repair else {})
        click.echo(json.dumps(output, indent=2))
    else:
        show(verdict, Console())
        _show_repair(repair, Console())
    report(target, verdict)
    if verdict.findings:
        raise SystemExit(EXIT_FAILED)


def audited(target: Target, settle_seconds: float, console: Console, behind_seconds: float = BEHIND_SECONDS) -> Verdict:
    """The verdict, with progress on `console`; ends the command if the system cannot be read."""
    reader = Reader(target.operator(patient=True), Ledger(target.ledger_key, target.ledger_url), target.management_url)
    with console.status("Reading") as status:
        try:
            return run_audit(
                reader,
                settle_seconds=settle_seconds,
                behind_seconds=behind_seconds,
                progress=lambda what: status.update(f"Reading {what}"),
                waiting=_announcer(console),
            )
        except (requests.RequestException, ApiError, stripe.StripeError) as error:
            click.echo(f"The system could not be read, so the result is unknown: {error}", err=True)
            raise SystemExit(EXIT_UNKNOWN) from error


def _announcer(console: Console) -> Callable[[Backlog], None]:
    """Reports periodically that the audit waits, also without a terminal."""
    said_at = -ANNOUNCE_SECONDS

    def announce(backlog: Backlog) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= ANNOUNCE_SECONDS:
            said_at = time.monotonic()
            console.print(f"The {backlog}, waiting.", highlight=False)

    return announce


def report(target: Target, verdict: Verdict) -> None:
    """Record the verdict in the system, for its console; if that fails, the verdict is the same."""
    try:
        send(target.operator(), verdict)
    except (requests.RequestException, ApiError) as error:
        click.echo(f"The verdict could not be reported to the system: {error}", err=True)


def _repair(target: Target, verdict: Verdict, console: Console) -> Repair:
    with console.status("Repairing") as status:
        try:
            return request_repairs(target.operator(), verdict, lambda what: status.update(f"Repairing: {what}"))
        except requests.RequestException as error:
            click.echo(f"The repair could not be requested: {error}", err=True)
            raise SystemExit(EXIT_UNKNOWN) from error


def _show_repair(repair: Repair | None, console: Console) -> None:
    if repair is None:
        return
    subjects = len({request.subject for request in repair.requests})
    counts = f"{len(repair.repaired)} repaired, {len(repair.after)} not"
    console.print(
        f"Requested the repair of {subjects} orders: of {len(repair.before)} findings {counts}.", highlight=False
    )
    for finding in repair.after[:MAX_SHOWN]:
        text = f"not repaired: {finding.promise} {finding.subject}: {repair.why_not(finding)}"
        console.print(text, highlight=False, markup=False)


def show(verdict: Verdict, console: Console) -> None:
    console.print(table(verdict))
    if verdict.behind:
        console.print(f"The {verdict.behind}: open orders may be late, not lost.", highlight=False)
    for finding in verdict.findings[:MAX_SHOWN]:
        console.print(f"[red]{finding.promise}[/] {finding.subject}: {finding.text}", highlight=False)
    if len(verdict.findings) > MAX_SHOWN:
        console.print(f"... and {len(verdict.findings) - MAX_SHOWN} more (all of them with --json)")
