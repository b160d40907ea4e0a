"""Rows as Stripe's objects (shapes of API version 2026: docs.stripe.com/api/payment_intents and /refunds).

Fields that this sandbox never sets are null, like in Stripe's own responses.
"""

import json
import sqlite3
from typing import Any

NEVER_SET = (
    "application", "application_fee_amount", "customer", "on_behalf_of", "processing", "review", "shipping",
    "source", "transfer_data", "transfer_group",
)  # fmt: skip


def render_intent(row: sqlite3.Row) -> dict[str, Any]:
    """A PaymentIntent."""
    return {
        "id": row["id"],
        "object": "payment_intent",
        "amount": row["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": row["amount_received"],
        "canceled_at": row["canceled_at"],
        "cancellation_reason": row["cancellation_reason"],
        "client_secret": row["client_secret"],
        "confirmation_method": "automatic",
        "created": row["created"],
        "currency": row["currency"],
        "last_payment_error": json.loads(row["last_payment_error"]),
        "latest_charge": row["latest_charge"],
        "livemode": False,
        "metadata": json.loads(row["metadata"]),
        "next_action": _next_action(row),
        "payment_method": row["payment_method"],
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "status": row["status"],
        **dict.fromkeys(NEVER_SET),
        **json.loads(row["details"]),
    }


def render_refund(row: sqlite3.Row) -> dict[str, Any]:
    """A Refund; a card's succeeds at once, unless a fault holds it."""
    return {
        "id": row["id"],
        "object": "refund",
        "amount": row["amount"],
        "balance_transaction": None,
        "charge": row["charge"],
        "created": row["created"],
        "currency": row["currency"],
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        **({"failure_reason": "declined"} if row["status"] == "failed" else {}),
        "metadata": json.loads(row["metadata"]),
        "payment_intent": row["payment_intent"],
        "reason": row["reason"],
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": row["status"],
        "transfer_reversal": None,
    }


def _next_action(row: sqlite3.Row) -> dict[str, Any] | None:
    if row["status"] != "requires_action":
        return None
    if row["return_url"] is None:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    address = f"https://hooks.stripe.com/3d_secure_2/hosted?payment_intent={row['id']}"
    return {
        "type": "redirect_to_url",
        "redirect_to_url": {"return_url": row["return_url"], "url": address},
    }
