"""The routes of inventory: parse, call one use case, render."""

from __future__ import annotations

from typing import Any

from common.security.auth import operators_only
from common.web import request as http
from common.web.app_factory import context
from common.web.error_responses import raises
from common.web.openapi import LOCATION, Blueprint
from common.web.pagination import Page, page_schema, render_page
from services.inventory import usecases
from services.inventory.domain import BelowReservedError, SkuTakenError, StockTooLargeError
from services.inventory.schemas import (
    NewProductSchema,
    ProductChangeSchema,
    ProductSchema,
    ProductsQuerySchema,
    StockAdjustmentSchema,
)

URL = "/api/v1/products"

blueprint = Blueprint("products", __name__, url_prefix=URL, description="Products and their stock")


@blueprint.route("", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(NewProductSchema)
@blueprint.response(201, ProductSchema, headers=LOCATION)
@raises(SkuTakenError)
def add_product(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Put a product on sale. It can be ordered a moment later, when orders has received the event."""
    command = usecases.NewProduct(**body)
    reply = usecases.add_product(
        context(), command, request_key=http.request_key(), message_context=http.request_message_context()
    )
    rendered, status, headers = http.render(reply)
    return rendered, status, headers | {"Location": f"{URL}/{command.sku}"}


@blueprint.route("", methods=["GET"])
@blueprint.arguments(ProductsQuerySchema, location="query")
@blueprint.response(200, page_schema(ProductSchema))
def list_products(query: dict[str, Any]) -> dict[str, Any]:
    """List all products by sku."""
    page: Page = query["page"]
    return render_page(usecases.list_products(context(), after=page.starting_after, limit=page.fetch), page)


@blueprint.route("/<sku>", methods=["GET"])
@blueprint.response(200, ProductSchema)
def get_product(sku: str) -> dict[str, Any]:
    """One product with its price and stock."""
    return usecases.get_product(context(), sku)


@blueprint.route("/<sku>", methods=["PATCH"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(ProductChangeSchema)
@blueprint.response(200, ProductSchema)
def change_product(body: dict[str, Any], sku: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Rename or reprice a product; existing orders keep their price."""
    reply = usecases.change_product(
        context(),
        sku,
        name=body.get("name"),
        price=body.get("price"),
        request_key=http.request_key(),
        message_context=http.request_message_context(),
    )
    return http.render(reply)


@blueprint.route("/<sku>/stock-adjustments", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(StockAdjustmentSchema)
@blueprint.response(200, ProductSchema)
@raises(BelowReservedError, StockTooLargeError)
def adjust_stock(body: dict[str, Any], sku: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Book stock received or removed other than by a sale; never below the quantity reserved for open orders."""
    reply = usecases.adjust_stock(
        context(),
        sku,
        delta=body["delta"],
        reason=body["reason"],
        request_key=http.request_key(),
        message_context=http.request_message_context(),
    )
    return http.render(reply)
