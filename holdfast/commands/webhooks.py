"""holdfast webhooks: receive webhooks on this machine, verified and printed."""

from __future__ import annotations

import json
import queue
from typing import TYPE_CHECKING

import click

from holdfast.commands.options import EXIT_FAILED
from holdfast.target import report_unreachable, target_options
from holdfast.webhooks.receiver import receiving
from holdfast.webhooks.subscribing import ENDPOINTS, OF_ORDERS, subscribed

if TYPE_CHECKING:
    from holdfast.target import Target
    from holdfast.webhooks.receiver import Receiver, Webhook

POLL_SECONDS = 0.5


@click.group()
def webhooks() -> None:
    """Test webhooks."""


@webhooks.command()
@target_options
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The port to listen on. 0: a free one.")
@click.option(
    "--event-type",
    "event_types",
    multiple=True,
    default=OF_ORDERS,
    show_default=True,
    help="May be given several times.",
)
@click.option("--count", type=click.IntRange(min=1), help="Exit after this number. Without it: Ctrl-C ends it.")
@click.option("--test", "sends_test", is_flag=True, help="Request a test event at the start.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line: the payload as received.")
def listen(
    target: Target, port: int, event_types: tuple[str, ...], count: int | None, *, sends_test: bool, as_json: bool
) -> None:
    """Register an endpoint on this machine as the operator, and print each webhook after verifying its signature.

    The endpoint is deleted at the end. The system must be able to reach this machine's loopback address, and allow it
    (WEBHOOK_ALLOWED_NETWORKS; a local stack does).

    Exit codes: 0 all webhooks were verified; 1 one was not; 3 no stack runs there; 4 the system does not answer.
    """
    with report_unreachable(), receiving(port) as receiver:
        client = target.operator()
        with subscribed(client, receiver, event_types) as endpoint:
            click.echo(f"Endpoint {endpoint['id']} receives {', '.join(event_types)} at {receiver.url}", err=True)
            if sends_test:
                client.post(f"{ENDPOINTS}/{endpoint['id']}/test")
            failed = _print(receiver, count, as_json=as_json)
    if failed:
        raise SystemExit(EXIT_FAILED)


def _print(receiver: Receiver, count: int | None, *, as_json: bool) -> int:
    """Print until `count` have arrived, or Ctrl-C; returns how many were not verified."""
    failed = shown = 0
    try:
        while count is None or shown < count:
            try:
                webhook = receiver.received.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            shown += 1
            failed += bool(webhook.problem)
            click.echo(json.dumps(webhook.payload) if as_json and not webhook.problem else line(webhook))
    except KeyboardInterrupt:
        pass
    return failed


def line(webhook: Webhook) -> str:
    """One webhook as text."""
    if webhook.problem:
        return f"NOT VERIFIED {webhook.id}: {webhook.problem}"
    payload = webhook.payload
    return (
        f"verified {payload['timestamp']} {payload['type']} {payload.get('subject', '')} {json.dumps(payload['data'])}"
    )
