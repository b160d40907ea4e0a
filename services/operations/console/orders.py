"""The pages of orders: search, the history of an order, and the possible actions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flask import redirect, request, url_for

from common.errors import Unavailable, classify
from common.messaging.events import new_id, rfc3339
from common.schemas import is_id
from common.web.app_factory import context
from common.web.pagination import Page
from services.operations import usecases
from services.operations.console import acting, forms, headline, order_history, re_check, traces
from services.operations.console.blueprint import blueprint, done, render, session
from services.operations.console.contexts import ContextDownError, RefusedError
from services.operations.domain import Filter
from services.operations.rendering import render_summary

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

STATUSES = ("pending", "reserved", "confirmed", "cancelled")
PAGE = 25
MAX_LETTERS, MAX_DELIVERIES = 50, 100
TRACEPARENT_PARTS = 4


@blueprint.get("/console/orders")
def list_orders() -> ResponseReturnValue:
    """Newest first. An order id opens the order, a customer id lists their orders, other input is a SKU."""
    text, status = request.args.get("q", "").strip(), request.args.get("status", "")
    query = {"status": status if status in STATUSES else "", "q": text}
    query |= {name: request.args.get(name, "").strip() for name in ("since", "until")}
    if is_id(text):
        leads = _of_id(text)
        if leads:
            return redirect(leads, 303)
    page, error, filter_error = None, None, ""
    try:
        page = context().contexts.get("orders", "/orders", session().token, **_filter(query), limit=PAGE)
    except ContextDownError as raised:
        error = raised
    except (RefusedError, forms.FormError) as refused:
        filter_error = _error_text(refused)
    return render("orders.html", page=page, error=error, statuses=STATUSES, query=query, filter_error=filter_error)


@blueprint.get("/console/orders/<order_id>")
def show_order(order_id: str) -> ResponseReturnValue:
    """The history of one order. Parts of contexts that do not answer are shown as missing."""
    token, api = session().token, context().contexts
    found = api.read_all(
        order=partial(api.get, "orders", f"/orders/{_id(order_id)}", token),
        payments=partial(api.get, "payments", "/payments", token, order_id=order_id),
        timeline=partial(api.get, "archive", f"/orders/{order_id}/timeline", token),
        placed=partial(api.get, "archive", "/events", token, subject=order_id, type="order.placed.v1", limit=1),
        deliveries=partial(api.get, "notifications", "/deliveries", token, order_id=order_id, limit=MAX_DELIVERIES),
    )
    if isinstance(found["order"], RefusedError):
        raise found["order"]
    letters, acts, deliveries = _letters(order_id), acting.acts_on(order_id), _data(found["deliveries"])
    errors = {each.context: each for each in found.values() if isinstance(each, ContextDownError)}
    order, payment = _unless_failed(found["order"]), next(iter(_data(found["payments"])), None)
    return render(
        "order.html",
        order_id=order_id,
        order=order,
        **_summary(order, payment),
        story=order_history.build(_data(found["timeline"]), letters or [], deliveries, acts),
        width=order_history.WIDTH,
        letters=letters,
        errors=list(errors.values()),
        failed_deliveries=[each for each in deliveries if each["status"] == "failed"],
        trace=_trace(next(iter(_data(found["placed"])), {})),
        key=new_id(),
    )


@blueprint.post("/console/orders/<order_id>/cancel")
def cancel_order(order_id: str) -> ResponseReturnValue:
    acting.post("cancel the order", "orders", f"/orders/{_id(order_id)}/cancel", on=[order_id], key=forms.key())
    return done("show_order", "cancelled", order_id=order_id)


@blueprint.post("/console/orders/<order_id>/resend")
def resend_order(order_id: str) -> ResponseReturnValue:
    acting.post("resend the last event", "orders", f"/orders/{_id(order_id)}/re-emit", on=[order_id])
    return done("show_order", "re-emitted", order_id=order_id)


@blueprint.post("/console/orders/<order_id>/payments/<payment_id>/re-check")
def re_check_payment(order_id: str, payment_id: str) -> ResponseReturnValue:
    path = f"/payments/{_id(payment_id)}/re-check"
    reply = acting.post(
        "re-check the payment", "payments", path, on=[_id(order_id), payment_id], result_of=re_check.result_of
    )
    return done("show_order", re_check.notice_of(reply), order_id=order_id)


@blueprint.post("/console/orders/<order_id>/payments/<payment_id>/refund")
def refund_payment(order_id: str, payment_id: str) -> ResponseReturnValue:
    body: dict[str, Any] = {"reason": forms.text("reason")} | forms.amount()
    path = f"/payments/{_id(payment_id)}/refunds"
    reply = acting.post("refund", "payments", path, body, on=[_id(order_id), payment_id], key=forms.key())
    notice = "refund-pending" if reply.get("status") == "pending" else "refunded"
    return done("show_order", notice, order_id=order_id)


@blueprint.post("/console/orders/<order_id>/deliveries/<delivery_id>/resend")
def resend_delivery_of_order(order_id: str, delivery_id: str) -> ResponseReturnValue:
    path = f"/deliveries/{_id(delivery_id)}/resend"
    acting.post("resend a delivery", "notifications", path, on=[_id(order_id), delivery_id], key=forms.key())
    return done("show_order", "webhook-resent", order_id=order_id)


def _summary(order: dict[str, Any] | None, payment: dict[str, Any] | None) -> dict[str, Any]:
    """The payment's headline, and the possible actions."""
    waits = order and payment and (payment["status"] == "pending" or headline.is_refund_pending(payment))
    is_away = bool(waits) and usecases.is_provider_away(context().monitor)
    return {
        "payment": payment,
        "headline": headline.headline(order, payment, is_provider_away=is_away) if order else None,
        "refundable": headline.left_to_refund(order, payment) if payment else None,
        "on_its_way": headline.refund_pending(payment) if payment and headline.is_refund_pending(payment) else None,
        "cancel_consequence": headline.cancel_consequence(payment),
    }


def _filter(query: dict[str, str]) -> dict[str, str | None]:
    """The query of the orders API. Raises `FormError`."""
    text = query["q"]
    moments = {name: rfc3339(forms.moment(name, query[name])) for name in ("since", "until") if query[name]}
    what = {"customer_id" if is_id(text) else "sku": text} if text else {}
    return {"status": query["status"], "starting_after": request.args.get("starting_after"), **what, **moments}


def _error_text(refused: RefusedError | forms.FormError) -> str:
    if isinstance(refused, RefusedError) and "sku" in refused.errors:
        return (
            "Paste the id of an order or of a customer, or enter a SKU: letters, digits, dots, dashes and underscores."
        )
    return str(refused)


def _of_id(text: str) -> str | None:
    """The URL of the order with this id; None if it is not an order, for example a customer."""
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


def _trace(placed: dict[str, Any]) -> dict[str, str]:
    """The start of the order's trace: {id, url, request}, as far as known."""
    known = {"request": str(placed.get("correlationid") or "")}
    parts = str(placed.get("traceparent") or "").split("-")
    if len(parts) == TRACEPARENT_PARTS:
        known |= {"id": parts[1], "url": traces.url_of(parts[1])}
    return known


def _data(result: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (_unless_failed(result) or {"data": []})["data"]
    return found


def _unless_failed(result: Any) -> dict[str, Any] | None:
    return None if isinstance(result, ContextDownError | RefusedError) else result


def _id(value: str) -> str:
    return forms.known_id(value)
