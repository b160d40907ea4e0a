"""One attempt to charge an intent's card, inside the caller's transaction.

Guarantee: the intent's new state and the response agree. A declined card is a response that keeps its state (402, the
intent back at `requires_payment_method` with `last_payment_error`), not an exception that rolls it back.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from infrastructure.sandbox.cards import AUTHENTICATION_REQUIRED, CARDS, Card
from infrastructure.sandbox.errors import ApiError, doc_url
from infrastructure.sandbox.exchange import Reply, json_reply
from infrastructure.sandbox.identifiers import new_id
from infrastructure.sandbox.rendering import render_intent

NO_METHOD = (
    "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the"
    " PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment"
    " method."
)


@dataclass(frozen=True)
class Confirmation:
    """How the merchant handles an authentication that the card requires."""

    off_session: bool
    error_on_requires_action: bool
    return_url: str | None


def attempt(tx: sqlite3.Connection, intent: sqlite3.Row, confirmation: Confirmation) -> Reply:
    """Charge the card of an intent that may be confirmed."""
    name = intent["payment_method"]
    card = CARDS.get(name)
    if card is None:
        raise ApiError(NO_METHOD, code="payment_intent_unexpected_state", payment_intent=render_intent(intent))
    if card.outcome == "approve":
        return _succeed(tx, intent["id"])
    if card.outcome == "decline":
        return _decline(tx, intent["id"], name, card)
    if confirmation.off_session or confirmation.error_on_requires_action:
        return _decline(tx, intent["id"], name, AUTHENTICATION_REQUIRED)
    return _ask_to_authenticate(tx, intent["id"], confirmation.return_url)


def _succeed(tx: sqlite3.Connection, ident: str) -> Reply:
    tx.execute(
        "UPDATE intents SET status = 'succeeded', amount_received = amount, latest_charge = ?,"
        " last_payment_error = 'null' WHERE id = ?",
        [new_id("ch"), ident],
    )
    return json_reply(200, _show(tx, ident))


def _ask_to_authenticate(tx: sqlite3.Connection, ident: str, return_url: str | None) -> Reply:
    tx.execute(
        "UPDATE intents SET status = 'requires_action', return_url = ?, last_payment_error = 'null' WHERE id = ?",
        [return_url, ident],
    )
    return json_reply(200, _show(tx, ident))


def _decline(tx: sqlite3.Connection, ident: str, name: str, card: Card) -> Reply:
    charge = new_id("ch")
    stated = {
        "charge": charge,
        "code": card.code,
        "decline_code": card.decline_code,
        "doc_url": doc_url(card.code),
        "message": card.message,
        "payment_method": card.document(name),
        "type": "card_error",
    }
    error = {key: value for key, value in stated.items() if value is not None}
    tx.execute(
        "UPDATE intents SET status = 'requires_payment_method', payment_method = NULL, latest_charge = ?,"
        " last_payment_error = ? WHERE id = ?",
        [charge, json.dumps(error), ident],
    )
    return json_reply(402, {"error": {**error, "payment_intent": _show(tx, ident)}})


def _show(tx: sqlite3.Connection, ident: str) -> dict[str, Any]:
    return render_intent(tx.execute("SELECT * FROM intents WHERE id = ?", [ident]).fetchone())
