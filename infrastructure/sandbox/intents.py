"""PaymentIntents: create, retrieve, confirm, cancel, list.

Guarantees: an intent succeeds at most once and never after it was cancelled; a second request gets
`payment_intent_unexpected_state` with the current intent. Every function here parses its parameters first and returns
the work, which runs inside one transaction.

It does not promise manual capture, updates, customers, or finishing an authentication (Stripe.js does that with
the cardholder): an intent in `requires_action` can be confirmed with another card or cancelled.
"""

import json
import sqlite3
import time
from typing import Any

from infrastructure.sandbox.cards import CARDS
from infrastructure.sandbox.charging import Confirmation, attempt
from infrastructure.sandbox.currencies import check_amount, read_currency
from infrastructure.sandbox.errors import ApiError, missing
from infrastructure.sandbox.exchange import Reply, Work, json_reply
from infrastructure.sandbox.identifiers import new_id, random_text
from infrastructure.sandbox.lists import Listing, list_page, read_page
from infrastructure.sandbox.params import Params
from infrastructure.sandbox.rendering import render_intent

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action")
CANCELLATION_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
LISTING = Listing(
    "SELECT * FROM intents WHERE {where} ORDER BY seq {order} LIMIT ?",
    "SELECT seq FROM intents WHERE id = ?",
    "payment_intent",
    "/v1/payment_intents",
    render_intent,
)


def create(params: Params, _ident: str) -> Work:
    """POST /v1/payment_intents"""
    amount = params.integer("amount", required=True, minimum=1) or 0
    currency = read_currency(params.text("currency", required=True) or "")
    metadata, details = params.metadata(), _read_details(params)
    method, confirm = params.text("payment_method"), params.flag("confirm")
    confirmation = _read_confirmation(params)
    params.finish()

    def work(tx: sqlite3.Connection) -> Reply:
        check_amount(amount, currency)
        _check_card(method)
        ident = new_id("pi")
        tx.execute(
            "INSERT INTO intents (id, created, amount, currency, status, client_secret, payment_method, metadata,"
            " details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ident,
                int(time.time()),
                amount,
                currency,
                "requires_confirmation" if method else "requires_payment_method",
                f"{ident}_secret_{random_text(25)}",
                method,
                json.dumps(metadata),
                json.dumps(details),
            ],
        )
        intent = _load(tx, ident)
        return attempt(tx, intent, confirmation) if confirm else json_reply(200, render_intent(intent))

    return work


def retrieve(params: Params, ident: str) -> Work:
    """GET /v1/payment_intents/{id}"""
    params.ignore("expand", "client_secret")
    params.finish()
    return lambda tx: json_reply(200, render_intent(_load(tx, ident)))


def confirm(params: Params, ident: str) -> Work:
    """POST /v1/payment_intents/{id}/confirm"""
    method, confirmation = params.text("payment_method"), _read_confirmation(params)
    params.ignore("receipt_email", "setup_future_usage", "payment_method_options", "payment_method_types")
    params.finish()

    def work(tx: sqlite3.Connection) -> Reply:
        intent = _load(tx, ident)
        if intent["status"] not in CONFIRMABLE:
            raise _unexpected(intent, _why_not_confirmable(intent["status"]))
        _check_card(method)
        if method is not None:
            tx.execute("UPDATE intents SET payment_method = ? WHERE id = ?", [method, ident])
        return attempt(tx, _load(tx, ident), confirmation)

    return work


def cancel(params: Params, ident: str) -> Work:
    """POST /v1/payment_intents/{id}/cancel"""
    reason = params.choice("cancellation_reason", CANCELLATION_REASONS)
    params.ignore("expand")
    params.finish()

    def work(tx: sqlite3.Connection) -> Reply:
        intent = _load(tx, ident)
        if intent["status"] not in CANCELABLE:
            message = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
            listed = ", ".join(CANCELABLE)
            raise _unexpected(
                intent,
                f"{message} Only a PaymentIntent with one of the following statuses may be canceled: {listed}.",
            )
        tx.execute(
            "UPDATE intents SET status = 'canceled', canceled_at = ?, cancellation_reason = ? WHERE id = ?",
            [int(time.time()), reason, ident],
        )
        return json_reply(200, render_intent(_load(tx, ident)))

    return work


def list_all(params: Params, _ident: str) -> Work:
    """GET /v1/payment_intents"""
    page = read_page(params)
    params.finish()
    return lambda tx: list_page(tx, LISTING, page)


def _load(tx: sqlite3.Connection, ident: str) -> sqlite3.Row:
    row: sqlite3.Row | None = tx.execute("SELECT * FROM intents WHERE id = ?", [ident]).fetchone()
    if row is None:
        raise missing("payment_intent", ident[:100], param="intent")
    return row


def _check_card(method: str | None) -> None:
    if method is not None and method not in CARDS:
        raise missing("PaymentMethod", method[:100], param="payment_method", status=400)


def _unexpected(intent: sqlite3.Row, message: str) -> ApiError:
    return ApiError(message, code="payment_intent_unexpected_state", payment_intent=render_intent(intent))


def _why_not_confirmable(status: str) -> str:
    if status == "succeeded":
        return (
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
        )
    return (
        f"You cannot confirm this PaymentIntent because it has a status of {status}. Only a PaymentIntent with one of"
        f" the following statuses may be confirmed: {', '.join(CONFIRMABLE)}."
    )


def _read_confirmation(params: Params) -> Confirmation:
    # `off_session` may also be "one_off" or "recurring"; all but "false" mean that authentication is not possible.
    off_session = params.text("off_session") not in (None, "false")
    confirmation = Confirmation(
        off_session=off_session,
        error_on_requires_action=params.flag("error_on_requires_action"),
        return_url=params.text("return_url"),
    )
    params.ignore("expand", "use_stripe_sdk", "radar_options", "mandate_data")
    return confirmation


def _read_details(params: Params) -> dict[str, Any]:
    """Parameters that are stored and returned without an effect."""
    automatic = None
    if params.has_hash("automatic_payment_methods"):
        below = params.hash("automatic_payment_methods")
        automatic = {
            "allow_redirects": below.choice("allow_redirects", ("always", "never")) or "always",
            "enabled": below.flag("enabled"),
        }
        below.finish()
    types = params.texts("payment_method_types") or ["card"]
    if "card" not in types:
        raise ApiError("This sandbox knows payments by card only.", param="payment_method_types")
    params.choice("confirmation_method", ["automatic"])
    params.ignore("payment_method_options")
    return {
        "automatic_payment_methods": automatic,
        "capture_method": params.choice("capture_method", ("automatic", "automatic_async")) or "automatic_async",
        "description": params.text("description"),
        "payment_method_types": types,
        "receipt_email": params.text("receipt_email"),
        "setup_future_usage": params.choice("setup_future_usage", ("off_session", "on_session")),
        "statement_descriptor": params.text("statement_descriptor", length=22),
        "statement_descriptor_suffix": params.text("statement_descriptor_suffix", length=22),
    }
