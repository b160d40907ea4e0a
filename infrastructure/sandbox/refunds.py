"""Refunds: create, retrieve, list.

Guarantee: the refunds of an intent never add up to more than it received, also for concurrent requests; the table's own
CHECK backs the arithmetic here. A refund is pending or fails only with a fault (`decisions.py`).
"""

import json
import sqlite3
import time

from infrastructure.sandbox.currencies import display
from infrastructure.sandbox.errors import ApiError, missing
from infrastructure.sandbox.exchange import Reply, Work, json_reply
from infrastructure.sandbox.identifiers import new_id
from infrastructure.sandbox.lists import Listing, list_page, read_page
from infrastructure.sandbox.params import Params
from infrastructure.sandbox.rendering import render_refund

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
LISTING = Listing(
    "SELECT * FROM refunds WHERE {where} ORDER BY seq {order} LIMIT ?",
    "SELECT seq FROM refunds WHERE id = ?",
    "refund",
    "/v1/refunds",
    render_refund,
)


def create(params: Params, _ident: str) -> Work:
    """POST /v1/refunds"""
    intent_id, charge_id = params.text("payment_intent"), params.text("charge")
    requested = params.integer("amount", minimum=1)
    reason, metadata = params.choice("reason", REASONS), params.metadata()
    params.ignore("expand")
    params.finish()
    if intent_id is None and charge_id is None:
        raise ApiError("One of the following params should be provided for this request: payment_intent or charge.")

    def work(tx: sqlite3.Connection) -> Reply:
        intent = _find_intent(tx, intent_id, charge_id)
        amount = _decide_amount(intent, requested)
        ident = new_id("re")
        tx.execute(
            "INSERT INTO refunds (id, created, payment_intent, charge, amount, currency, reason, metadata)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ident,
                int(time.time()),
                intent["id"],
                intent["latest_charge"],
                amount,
                intent["currency"],
                reason,
                json.dumps(metadata),
            ],
        )
        tx.execute("UPDATE intents SET amount_refunded = amount_refunded + ? WHERE id = ?", [amount, intent["id"]])
        return json_reply(200, render_refund(_load(tx, ident)))

    return work


def retrieve(params: Params, ident: str) -> Work:
    """GET /v1/refunds/{id}"""
    params.ignore("expand")
    params.finish()
    return lambda tx: json_reply(200, render_refund(_load(tx, ident)))


def list_all(params: Params, _ident: str) -> Work:
    """GET /v1/refunds"""
    page = read_page(params, "payment_intent", "charge")
    params.finish()
    return lambda tx: list_page(tx, LISTING, page)


def _decide_amount(intent: sqlite3.Row, requested: int | None) -> int:
    """The amount to refund; without `asked` the rest."""
    if intent["status"] != "succeeded":
        raise ApiError(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.", param="payment_intent"
        )
    left: int = intent["amount_received"] - intent["amount_refunded"]
    if left == 0:
        raise ApiError(f"Charge {intent['latest_charge']} has already been refunded.", code="charge_already_refunded")
    if requested is not None and requested > left:
        shown, most = display(requested, intent["currency"]), display(left, intent["currency"])
        raise ApiError(f"Refund amount ({shown}) is greater than unrefunded amount on charge ({most})", param="amount")
    return requested or left


def _find_intent(tx: sqlite3.Connection, intent_id: str | None, charge_id: str | None) -> sqlite3.Row:
    if intent_id is not None:
        row: sqlite3.Row | None = tx.execute("SELECT * FROM intents WHERE id = ?", [intent_id]).fetchone()
        if row is None:
            raise missing("payment_intent", intent_id[:100], param="payment_intent")
        if charge_id in (None, row["latest_charge"]):
            return row
        raise ApiError(f"Charge {str(charge_id)[:100]} does not belong to this PaymentIntent.", param="charge")
    row = tx.execute("SELECT * FROM intents WHERE latest_charge = ?", [charge_id]).fetchone()
    if row is None:
        raise missing("charge", str(charge_id)[:100], param="id")
    return row


def _load(tx: sqlite3.Connection, ident: str) -> sqlite3.Row:
    row: sqlite3.Row | None = tx.execute("SELECT * FROM refunds WHERE id = ?", [ident]).fetchone()
    if row is None:
        raise missing("refund", ident[:100], param="refund")
    return row
