"""The routes of orders: parse, call one use case, render."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from flask import Response, make_response

from common.errors import NotFound
from common.messaging.events import rfc3339
from common.money import Money
from common.schemas import is_id
from common.security.auth import caller, operators_only
from common.web import request as http
from common.web.app_factory import context
from common.web.error_responses import raises
from common.web.openapi import LOCATION, Blueprint
from common.web.pagination import Page, page_schema, render_page
from services.orders import usecases
from services.orders.domain import (
    MixedCurrenciesError,
    NotCancellableError,
    PriceChangedError,
    TotalTooLargeError,
    TotalTooSmallError,
    UnknownSkuError,
    WantedItem,
)
from services.orders.schemas import OrderSchema, OrdersQuerySchema, PlaceOrderSchema
from services.orders.search import OrderFilter

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.web.load_shedding import Shedding
    from services.orders.domain import Order


@dataclass(frozen=True, slots=True)
class Context:
    """The resources of the routes."""

    engine: Engine
    shedding: Shedding


blueprint = Blueprint("orders", __name__, url_prefix="/api/v1/orders", description="Orders and their outcomes")


@blueprint.route("", methods=["POST"])
@blueprint.idempotent(required=True)
@blueprint.arguments(PlaceOrderSchema)
@blueprint.response(202, OrderSchema, headers=LOCATION)
@raises(UnknownSkuError, MixedCurrenciesError, PriceChangedError, TotalTooSmallError, TotalTooLargeError)
def place_order(body: dict[str, Any]) -> Response:
    """Accept an order.

    The response is 202: stock and payment follow. The same Idempotency-Key with the same body always gets the same
    response. An item may carry the `unit_price` that the customer saw: if it differs from the current price, the order
    is rejected (409 `price_changed`, with both prices).
    """
    command = usecases.PlaceOrder(
        customer_id=caller().id,
        key=http.idempotency_key(required=True) or "",
        fingerprint=http.request_fingerprint(),
        items=[_item(item) for item in body["items"]],
        payment_method=body["payment_method"],
    )
    placed = usecases.place_order(_engine(), command, http.request_message_context(), _context().shedding)
    headers = {"Location": f"/api/v1/orders/{placed.order.id}"}
    if placed.replayed:
        headers["Idempotent-Replayed"] = "true"
    return make_response(render_order(placed.order), 202, headers)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(OrdersQuerySchema, location="query")
@blueprint.response(200, page_schema(OrderSchema))
def list_orders(query: dict[str, Any]) -> dict[str, Any]:
    """List your orders, newest first; operators see those of all customers."""
    page: Page = query["page"]
    whose = caller().viewer_id or query["customer_id"]
    since, until = (datetime.fromisoformat(query[name]) if query[name] else None for name in ("since", "until"))
    criteria = OrderFilter(customer_id=whose, status=query["status"], sku=query["sku"], since=since, until=until)
    orders = usecases.list_orders(_engine(), criteria, before=page.starting_after, limit=page.fetch)
    return render_page([render_order(order) for order in orders], page)


@blueprint.route("/<order_id>", methods=["GET"])
@blueprint.response(200, OrderSchema)
def get_order(order_id: str) -> dict[str, Any]:
    """One order, with its status and outcome."""
    return render_order(usecases.get_order(_engine(), _id(order_id), customer_id=caller().viewer_id))


@blueprint.route("/<order_id>/cancel", methods=["POST"])
@blueprint.idempotent()
@blueprint.response(200, OrderSchema)
@raises(NotCancellableError)
def cancel_order(order_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Cancel an order that is not confirmed yet; reservation and charge are undone."""
    reply = usecases.cancel_order(
        _engine(),
        _id(order_id),
        customer_id=caller().viewer_id,
        request_key=http.request_key(),
        render=render_order,
        message_context=http.request_message_context(),
    )
    return http.render(reply)


@blueprint.route("/<order_id>/re-emit", methods=["POST"])
@operators_only
@blueprint.response(202, OrderSchema)
@raises(usecases.NoFinalEventError)
def re_emit_order(order_id: str) -> dict[str, Any]:
    """Publish the order's final event again, for consumers that missed it.

    It is the same event with the same id, so consumers drop duplicates: the request is idempotent. An open order has no
    final event (409 `order_has_no_end`).
    """
    return render_order(usecases.resend_final_event(_engine(), _id(order_id)))


def render_order(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "customer_id": order.customer_id,
        "status": order.status,
        "cancel_reason": order.cancel_reason,
        "items": [
            {"sku": line.sku, "quantity": line.quantity, "unit_price": _money(line.unit_price)} for line in order.lines
        ],
        "total": _money(order.total),
        "payment_method": order.payment_method,
        "created_at": rfc3339(order.created_at),
        "version": order.version,
    }


def _item(item: dict[str, Any]) -> WantedItem:
    seen = item.get("unit_price")
    return WantedItem(item["sku"], item["quantity"], Money(seen["amount"], seen["currency"]) if seen else None)


def _context() -> Context:
    return cast("Context", context())


def _engine() -> Engine:
    return _context().engine


def _money(money: Money) -> dict[str, Any]:
    return {"amount": money.amount, "currency": money.currency}


def _id(order_id: str) -> str:
    if not is_id(order_id):
        raise NotFound("no such order")
    return order_id
