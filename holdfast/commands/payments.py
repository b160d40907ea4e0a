"""holdfast payments: refunds that the payment provider refuses, and operators' decisions about them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from holdfast.commands.dead_letters import PATH as DEAD_LETTERS
from holdfast.commands.dead_letters import exit_on_refusal
from holdfast.target import target_options

if TYPE_CHECKING:
    from holdfast.client import Client
    from holdfast.target import Target

PATH = "/api/v1/payments"
REFUSED = "payment.refund_refused.v1"
_json_option = click.option("--json", "as_json", is_flag=True, help="The response of the API as JSON.")
_reason_option = click.option("--reason", required=True, help="The reason; it is recorded with your name.")


@click.group()
def payments() -> None:
    """List refunds that the payment provider refuses, retry one, or record that the money was returned.

    Exit codes: 0 success; 1 failure (the text says why); 2 usage error; 3 no stack runs there.
    """


@payments.command("standing-cases")
@target_options
@_json_option
def standing_cases(target: Target, *, as_json: bool) -> None:
    """List the payments of cancelled orders whose refund the provider refuses and that wait for an operator.

    Exit codes: 0 listed (also if there are none); 1 the system does not answer; 3 no stack runs there.
    """
    with exit_on_refusal():
        found = list(target.operator(patient=True).all(f"{PATH}/standing-cases"))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        Console().print(_table(found))
    else:
        click.echo("No open cases.")


@payments.command("retry-refund")
@click.argument("payment_id")
@_reason_option
@target_options
@_json_option
def retry_refund(target: Target, payment_id: str, reason: str, *, as_json: bool) -> None:
    """Retry the refund of a cancelled order at the provider now.

    If it succeeds, the dead letters of this case are replayed as well, which closes them.

    Exit codes: 0 the refund is accepted; 1 it is refused again, or there is nothing to refund; 3 no stack runs there.
    """
    _decide(target, f"{PATH}/{payment_id}/refunds/retry", {"reason": reason}, as_json=as_json)


@payments.command("record-refund")
@click.argument("payment_id")
@_reason_option
@click.option("--amount", type=click.IntRange(1), help="In minor units; default: the rest.")
@click.option("--reference", help="A reference, such as a transfer's number.")
@click.option("--provider-refund-id", help="A refund made directly at the provider, which is queried for it.")
@target_options
@_json_option
def record_refund(
    target: Target,
    payment_id: str,
    *,
    reason: str,
    amount: int | None,
    reference: str | None,
    provider_refund_id: str | None,
    as_json: bool,
) -> None:
    """Record that the money was returned to the customer another way.

    This makes no payment. The audit counts the sum as returned, as recorded by the operator.

    Exit codes: 0 it is recorded; 1 it is not (the text says why); 3 no stack runs there.
    """
    body: dict[str, Any] = {"reason": reason}
    body |= {"reference": reference} if reference else {}
    body |= {"provider_refund_id": provider_refund_id} if provider_refund_id else {}
    if amount is not None:
        with exit_on_refusal():
            currency = target.operator().get(f"{PATH}/{payment_id}")["amount"]["currency"]
        body["amount"] = {"amount": amount, "currency": currency}
    _decide(target, f"{PATH}/{payment_id}/refunds/record", body, as_json=as_json)


def _decide(target: Target, path: str, body: dict[str, Any], *, as_json: bool) -> None:
    with exit_on_refusal():
        client = target.operator()
        payment = client.post(path, body, key=str(uuid.uuid4()))
        replayed = _replay(client, payment["order_id"]) if payment["refund_refusal"] is None else 0
    if as_json:
        click.echo(json.dumps(payment, indent=2))
    else:
        click.echo(f"{payment['id']} is {payment['status']}; replayed dead letters of this case: {replayed}.")


def _replay(client: Client, order_id: str) -> int:
    """Replay the case's dead letters to payments, which can handle them after the case is closed."""
    letters = [
        letter["id"]
        for letter in client.all(DEAD_LETTERS, type=REFUSED, status="filed")
        if letter["order_id"] == order_id
    ]
    for letter_id in letters:
        client.post(f"{DEAD_LETTERS}/{letter_id}/replay", {})
    return len(letters)


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("payment, order", "owed", "open since", "why"):
        table.add_column(name)
    for each in found:
        refusal = each["refund_refusal"]
        owed = each["amount"]["amount"] - each["refunded"]["amount"]
        table.add_row(
            f"{each['id']}\n{each['order_id']}",
            f"{owed} {each['amount']['currency']}",
            refusal["standing_since"],
            f"{refusal['code']}, {refusal['tries']} tries",
        )
    return table
