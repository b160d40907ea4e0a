"""The tables of inventory and their queries. `migrations/` creates them; only this module reads them.

Locks are always taken in one order, so transactions cannot deadlock: an order's reservation first, then the products by
sku. Products are never deleted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.money import Money
from common.storage.statements import statement
from services.inventory.domain import Line, Product, Reservation, Status, Stock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from services.inventory.domain import Move

_PRODUCT = "sku, name, amount, currency, on_hand, reserved, sold, version"
_LINES = "unnest(CAST(:skus AS text[]), CAST(:quantities AS bigint[])) AS lines (sku, quantity)"
_SET_STOCK = """
    SET on_hand = on_hand + :on_hand * quantity, reserved = reserved + :reserved * quantity,
        sold = sold + :sold * quantity
"""
_INSERT_EVENT = """
    INSERT INTO outbox (event_id, type, correlation_id, body)
    VALUES (CAST(:event_id AS uuid), :type, :correlation_id, :body)
"""

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

# The reservation and the locks on its stock in one round trip. No product is locked before the row is inserted, since
# each has to pass the filter on it first: that keeps the order of locks.
_CLAIM = text("""
    WITH claimed AS (
        INSERT INTO reservations (order_id, status, items, version)
        VALUES (:order_id, :status, CAST(:items AS jsonb), :version)
        ON CONFLICT (order_id) DO NOTHING
        RETURNING order_id
    ), stock AS (
        SELECT sku, on_hand - reserved AS available FROM products
        WHERE sku = ANY(:skus) AND EXISTS (SELECT FROM claimed)
        ORDER BY sku FOR UPDATE
    )
    SELECT EXISTS (SELECT FROM claimed) AS claimed, (SELECT jsonb_object_agg(sku, available) FROM stock) AS available
""")
# Stock and event in one statement; `_CLAIM` has locked the rows.
_HOLD = statement(
    """
    WITH moved AS (UPDATE products {set_stock} FROM {lines} WHERE products.sku = lines.sku)
    {insert_event}
    """,
    set_stock=_SET_STOCK,
    lines=_LINES,
    insert_event=_INSERT_EVENT,
)
_REJECT = statement(
    """
    WITH rejected AS (UPDATE reservations SET status = :status WHERE order_id = :order_id)
    {insert_event}
    """,
    insert_event=_INSERT_EVENT,
)
_LOCK_RESERVATION = text(
    "SELECT order_id::text AS order_id, status, items, version FROM reservations WHERE order_id = :order_id FOR UPDATE"
)
# Reservation, stock and event in one statement. A product's row is updated after `locked` has locked it, in the
# order of the skus.
_SETTLE = statement(
    """
    WITH settled AS (
        UPDATE reservations SET status = :status, version = :version, updated_at = clock_timestamp()
        WHERE order_id = :order_id
    ), locked AS (
        SELECT products.sku, quantity FROM products JOIN {lines} ON products.sku = lines.sku
        ORDER BY products.sku FOR UPDATE OF products
    ), moved AS (
        UPDATE products {set_stock} FROM locked WHERE products.sku = locked.sku
    )
    {insert_event}
    """,
    lines=_LINES,
    set_stock=_SET_STOCK,
    insert_event=_INSERT_EVENT,
)
# The condition of the partial index reservations_held; volatile clock_timestamp() could not bound it.
# Each time the wait doubles, up to 64 times as long.
_ASK = text("""
    UPDATE reservations SET asks = least(asks + 1, 6), asked_at = clock_timestamp(), version = version + 1
    WHERE order_id IN (
        SELECT order_id FROM reservations
        WHERE status = 'held' AND created_at < statement_timestamp() - make_interval(secs => :seconds)
          AND coalesce(asked_at, created_at) < statement_timestamp() - make_interval(secs => :seconds * 2 ^ asks)
        ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING order_id::text AS order_id, status, items, version
""")
_REMEMBER = text("""
    INSERT INTO reservations (order_id, status, items, version) VALUES (:order_id, :status, '[]', 0)
    ON CONFLICT (order_id) DO NOTHING
""")


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


def claim(connection: Connection, reservation: Reservation) -> Mapping[str, int] | None:
    """Write the reservation and lock its stock; returns the available quantity of each known sku.

    None if the order already has a reservation: then nothing is written or locked.
    """
    values = {
        "order_id": reservation.order_id,
        "status": reservation.status,
        "items": json.dumps([{"sku": line.sku, "quantity": line.quantity} for line in reservation.lines]),
        "version": reservation.version,
        "skus": [line.sku for line in reservation.lines],
    }
    row = connection.execute(_CLAIM, values).one()
    return (row.available or {}) if row.claimed else None


def hold(connection: Connection, reservation: Reservation, move: Move, outbox_row: Mapping[str, Any]) -> None:
    """Move the stock of a claimed reservation, and write its event."""
    connection.execute(_HOLD, _move_values(reservation, move) | dict(outbox_row))


def reject(connection: Connection, reservation: Reservation, outbox_row: Mapping[str, Any]) -> None:
    """Write the rejection of a claimed reservation, and its event."""
    values = {"order_id": reservation.order_id, "status": reservation.status}
    connection.execute(_REJECT, values | dict(outbox_row))


def lock_reservation(connection: Connection, order_id: str) -> Reservation | None:
    """The reservation, locked until the transaction ends."""
    row = connection.execute(_LOCK_RESERVATION, {"order_id": order_id}).mappings().first()
    return _reservation(row) if row else None


def settle(connection: Connection, reservation: Reservation, move: Move, outbox_row: Mapping[str, Any]) -> None:
    """Write the new status of a locked reservation, move its stock, and write its event."""
    values = {
        "order_id": reservation.order_id,
        "status": reservation.status,
        "version": reservation.version,
    }
    connection.execute(_SETTLE, values | _move_values(reservation, move) | dict(outbox_row))


def remember_cancelled(connection: Connection, order_id: str) -> bool:
    """Record the cancellation of an order without a reservation; False if it got one concurrently."""
    values = {"order_id": order_id, "status": Status.CANCELLED}
    return connection.execute(_REMEMBER, values).rowcount == 1


def ask_about_held(connection: Connection, *, held_seconds: float, limit: int) -> list[Reservation]:
    """Overdue reservations, with their version raised; each is returned again after twice the time."""
    rows = connection.execute(_ASK, {"seconds": held_seconds, "limit": limit}).mappings()
    return [_reservation(row) for row in rows]


def _move_values(reservation: Reservation, move: Move) -> dict[str, Any]:
    return {
        "skus": [line.sku for line in reservation.lines],
        "quantities": [line.quantity for line in reservation.lines],
        "on_hand": move.on_hand,
        "reserved": move.reserved,
        "sold": move.sold,
    }


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


def _reservation(row: Mapping[Any, Any]) -> Reservation:
    items: Sequence[Mapping[str, Any]] = row["items"]
    return Reservation(
        order_id=row["order_id"],
        status=Status(row["status"]),
        lines=tuple(Line(item["sku"], item["quantity"]) for item in items),
        version=row["version"],
    )
