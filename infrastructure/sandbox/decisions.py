"""Undecided objects: intents that are `processing`, refunds that are `pending` or `requires_action`.

A fault of the kind `undecided` holds affected objects until the fault is removed; then each gets the fault's outcome.
Guarantee: held objects, their fault and outcome are on disk; removing faults and deciding is one transaction.
"""

import json
import sqlite3
from collections.abc import Collection

from infrastructure.sandbox.exchange import Reply, Work, json_reply
from infrastructure.sandbox.identifiers import new_id
from infrastructure.sandbox.rendering import render_intent, render_refund

OUTCOMES = ("succeeded", "failed")
REFUND_STATES = ("pending", "requires_action")


def hold(work: Work, fault_id: str, outcome: str, refund_state: str) -> Work:
    """Wrap the work so that its charge or refund stays undecided."""

    def held(tx: sqlite3.Connection) -> Reply:
        reply = work(tx)
        made = json.loads(reply.body)
        if made.get("object") == "payment_intent" and made["status"] == "succeeded":
            return _hold_intent(tx, made["id"], fault_id, outcome)
        if made.get("object") == "refund":
            return _hold_refund(tx, made["id"], fault_id, outcome, refund_state)
        return reply

    return held


def decide(tx: sqlite3.Connection, faults: Collection[str]) -> None:
    """Decide objects held by a removed fault."""
    for row in tx.execute("SELECT * FROM intents WHERE held_by IS NOT NULL").fetchall():
        if row["held_by"] not in faults:
            _decide_intent(tx, row)
    for row in tx.execute("SELECT * FROM refunds WHERE held_by IS NOT NULL").fetchall():
        if row["held_by"] not in faults:
            _decide_refund(tx, row)


def _hold_intent(tx: sqlite3.Connection, ident: str, fault_id: str, outcome: str) -> Reply:
    tx.execute(
        "UPDATE intents SET status = 'processing', amount_received = 0, held_by = ?, outcome = ? WHERE id = ?",
        [fault_id, outcome, ident],
    )
    return json_reply(200, render_intent(tx.execute("SELECT * FROM intents WHERE id = ?", [ident]).fetchone()))


def _hold_refund(tx: sqlite3.Connection, ident: str, fault_id: str, outcome: str, state: str) -> Reply:
    tx.execute(
        "UPDATE refunds SET status = ?, held_by = ?, outcome = ? WHERE id = ?", [state, fault_id, outcome, ident]
    )
    return json_reply(200, render_refund(tx.execute("SELECT * FROM refunds WHERE id = ?", [ident]).fetchone()))


def _decide_intent(tx: sqlite3.Connection, row: sqlite3.Row) -> None:
    if row["outcome"] == "succeeded":
        tx.execute(
            "UPDATE intents SET status = 'succeeded', amount_received = amount, held_by = NULL WHERE id = ?",
            [row["id"]],
        )
        return
    error = {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline", "charge": new_id("ch")}
    tx.execute(
        "UPDATE intents SET status = 'requires_payment_method', payment_method = NULL, held_by = NULL,"
        " last_payment_error = ? WHERE id = ?",
        [json.dumps(error), row["id"]],
    )


def _decide_refund(tx: sqlite3.Connection, row: sqlite3.Row) -> None:
    tx.execute("UPDATE refunds SET status = outcome, held_by = NULL WHERE id = ?", [row["id"]])
    if row["outcome"] == "failed":  # the amount is credited to the account again
        tx.execute(
            "UPDATE intents SET amount_refunded = amount_refunded - ? WHERE id = ?",
            [row["amount"], row["payment_intent"]],
        )
