"""The products and their queries. `migrations/` creates the tables; only this module and `reservations.py` read them.

Products are never deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.money import Money
from common.storage.statements import statement
from services.inventory.domain import Product, Stock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_PRODUCT = "sku, name, amount, currency, on_hand, reserved, sold, version"

_INSERT_PRODUCT = statement(
    """
    INSERT INTO products ({product})
    VALUES (:sku, :name, :amount, :currency, :on_hand, :reserved, :sold, :version)
    ON CONFLICT (sku) DO NOTHING
    """,
    product=_PRODUCT,
)
_UPDATE_PRODUCT = text("""
    UPDATE products SET name = :name, amount = :amount, currency = :currency, on_hand = :on_hand, version = :version
    WHERE sku = :sku
""")
_GET_PRODUCT = statement("SELECT {product} FROM products WHERE sku = :sku", product=_PRODUCT)
_LOCK_PRODUCT = statement("SELECT {product} FROM products WHERE sku = :sku FOR UPDATE", product=_PRODUCT)
_LIST_PRODUCTS = statement(
    "SELECT {product} FROM products WHERE CAST(:after AS text) IS NULL OR sku > :after ORDER BY sku LIMIT :limit",
    product=_PRODUCT,
)


def insert_product(connection: Connection, product: Product) -> bool:
    """Write the product; False if its sku is taken."""
    return connection.execute(_INSERT_PRODUCT, _product_values(product)).rowcount == 1


def update_product(connection: Connection, product: Product) -> None:
    """Write the name, price, on_hand and version of a locked product."""
    connection.execute(_UPDATE_PRODUCT, _product_values(product))


def get_product(connection: Connection, sku: str) -> Product | None:
    row = connection.execute(_GET_PRODUCT, {"sku": sku}).mappings().first()
    return _product(row) if row else None


def lock_product(connection: Connection, sku: str) -> Product | None:
    """The product, locked until the transaction ends."""
    row = connection.execute(_LOCK_PRODUCT, {"sku": sku}).mappings().first()
    return _product(row) if row else None


def page_of_products(connection: Connection, *, after: str | None, limit: int) -> list[Product]:
    """By sku, after the sku `after`."""
    rows = connection.execute(_LIST_PRODUCTS, {"after": after, "limit": limit})
    return [_product(row) for row in rows.mappings()]


def _product_values(product: Product) -> dict[str, Any]:
    return {
        "sku": product.sku,
        "name": product.name,
        "amount": product.price.amount,
        "currency": product.price.currency,
        "on_hand": product.stock.on_hand,
        "reserved": product.stock.reserved,
        "sold": product.stock.sold,
        "version": product.version,
    }


def _product(row: Mapping[Any, Any]) -> Product:
    return Product(
        sku=row["sku"],
        name=row["name"],
        price=Money(row["amount"], row["currency"]),
        stock=Stock(on_hand=row["on_hand"], reserved=row["reserved"], sold=row["sold"]),
        version=row["version"],
    )
