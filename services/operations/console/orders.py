"""The pages of orders: find one, see its whole story, and what can be done with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flask import redirect, request, url_for

from common.errors import Unavailable, classify
from common.messaging.events import new_id
from common.schemas import is_id
from common.web.app_factory import context
from common.web.pagination import Page
from services.operations import usecases
from services.operations.console import forms, story
from services.operations.console.blueprint import blueprint, done, render, session
from services.operations.console.contexts import ContextDownError, RefusedError
from services.operations.domain import Filter
from services.operations.rendering import render_summary

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

STATUSES = ("pending", "reserved", "confirmed", "cancelled")
PAGE = 25
MAX_LETTERS = 50


@blueprint.get("/console/orders")
def list_orders() -> ResponseReturnValue:
    """The newest first, by cursor; an order's id leads to it, a customer's id to their orders."""
    text, status = request.args.get("q", "").strip(), request.args.get("status", "")
    query = {"status": status if status in STATUSES else "", "q": text}
    if is_id(text):
        leads = _of_id(text)
        if leads:
            return redirect(leads, 303)
    page, error = None, None
    if not text or is_id(text):
        try:
            page = context().contexts.get(
                "orders", "/orders", session().token, status=query["status"], customer_id=text, limit=PAGE,
                starting_after=request.args.get("starting_after"),
            )  # fmt: skip
        except ContextDownError as raised:
            error = raised
    return render(
        "orders.html", page=page, error=error, statuses=STATUSES, query=query, is_odd=bool(text) and not is_id(text)
    )


@blueprint.get("/console/orders/<order_id>")
def show_order(order_id: str) -> ResponseReturnValue:
    """One order's story. What one context cannot tell is missing, and said to be."""
    token, api = session().token, context().contexts
    found = api.read_all(
        order=partial(api.get, "orders", f"/orders/{_id(order_id)}", token),
        payments=partial(api.get, "payments", "/payments", token, order_id=order_id),
        timeline=partial(api.get, "archive", f"/orders/{order_id}/timeline", token),
    )
    if isinstance(found["order"], RefusedError):
        raise found["order"]
    letters = _letters(order_id)
    errors = [each for each in found.values() if isinstance(each, ContextDownError)]
    return render(
        "order.html",
        order_id=order_id,
        order=_unless_failed(found["order"]),
        payment=next(iter((_unless_failed(found["payments"]) or {"data": []})["data"]), None),
        story=story.story((_unless_failed(found["timeline"]) or {"data": []})["data"], letters or []),
        width=story.WIDTH,
        letters=letters,
        errors=errors,
        key=new_id(),
    )


@blueprint.post("/console/orders/<order_id>/cancel")
def cancel_order(order_id: str) -> ResponseReturnValue:
    _post("orders", f"/orders/{_id(order_id)}/cancel", {}, Idempotency_Key=forms.key())
    return done("show_order", "cancelled", order_id=order_id)


@blueprint.post("/console/orders/<order_id>/resend")
def resend_order(order_id: str) -> ResponseReturnValue:
    _post("orders", f"/orders/{_id(order_id)}/re-emit", {})
    return done("show_order", "resent", order_id=order_id)


@blueprint.post("/console/orders/<order_id>/payments/<payment_id>/re-check")
def re_check_payment(order_id: str, payment_id: str) -> ResponseReturnValue:
    _post("payments", f"/payments/{_id(payment_id)}/re-check", {})
    return done("show_order", "re-checked", order_id=order_id)


@blueprint.post("/console/orders/<order_id>/payments/<payment_id>/refund")
def refund_payment(order_id: str, payment_id: str) -> ResponseReturnValue:
    body: dict[str, Any] = {"reason": forms.text("reason")} | forms.amount()
    _post("payments", f"/payments/{_id(payment_id)}/refunds", body, Idempotency_Key=forms.key())
    return done("show_order", "refunded", order_id=order_id)


def _post(target: str, path: str, body: dict[str, Any], **headers: str) -> None:
    context().contexts.post(target, path, session().token, body, **headers)


def _of_id(text: str) -> str | None:
    """The address of the order with this id; None if it is something else's, a customer's perhaps."""
    try:
        context().contexts.get("orders", f"/orders/{text}", session().token)
    except (RefusedError, ContextDownError):
        return None
    return url_for("console.show_order", order_id=text)


def _letters(order_id: str) -> list[dict[str, Any]] | None:
    """The order's dead letters; None if the store does not answer."""
    try:
        with context().store.use() as database:
            found = usecases.list_letters(database, Filter(order_id=order_id), Page(MAX_LETTERS))
    except Exception as error:
        if classify(error) is not Unavailable:
            raise
        return None
    return [render_summary(letter) for letter in found]


def _unless_failed(result: Any) -> dict[str, Any] | None:
    return None if isinstance(result, ContextDownError | RefusedError) else result


def _id(value: str) -> str:
    return forms.known_id(value)
