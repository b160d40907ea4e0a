"""The page Try it: place an order as this operator, show its Idempotency-Key, and send the same request twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flask import request

from common.messaging.events import new_id
from common.web.app_factory import context
from services.operations.console import forms
from services.operations.console.blueprint import blueprint, render, session
from services.operations.console.contexts import ContextDownError, RefusedError

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

PRODUCTS = 100
CARDS = {
    "pm_card_visa": "a valid card",
    "pm_card_chargeDeclined": "a card that is declined",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "a card without funds",
}


@blueprint.get("/console/try")
def show_try() -> ResponseReturnValue:
    return _page([], None, new_id())


@blueprint.post("/console/try")
def place_order() -> ResponseReturnValue:
    """Send the order once or twice, with one Idempotency-Key: two requests, one order."""
    body = {
        "items": [{"sku": forms.text("sku"), "quantity": int(forms.number("quantity", 1, 10_000))}],
        "payment_method": forms.text("card"),
    }
    key = forms.key()
    times = 2 if request.form.get("twice") else 1
    return _page([_send(body, key) for _ in range(times)], body, key)


def _send(body: dict[str, Any], key: str) -> dict[str, Any]:
    try:
        order = context().contexts.post("orders", "/orders", session().token, body, Idempotency_Key=key)
    except RefusedError as error:
        return {"refused": error.detail, "code": error.code, "status": error.status}
    except ContextDownError as error:
        return {"refused": f"the {error.context} service does not answer ({error.detail})", "status": 503}
    return {"order": order, "status": 202}


def _page(replies: list[dict[str, Any]], body: dict[str, Any] | None, key: str) -> str:
    products, error = None, None
    try:
        products = context().contexts.get("inventory", "/products", session().token, limit=PRODUCTS)["data"]
    except ContextDownError as raised:
        error = raised
    sent = json.dumps(body, indent=2) if body else None
    return render(
        "try.html", products=products, error=error, cards=CARDS, replies=replies, sent=sent, key=key, next_key=new_id()
    )
