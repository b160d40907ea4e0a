"""The tables of orders and their queries. `migrations/` creates them; only this context reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.messaging import outbox
from common.money import Money
from common.storage.locked_rows import LockedRows
from common.storage.statements import columns, statement
from services.orders.domain import CancelReason, Line, Order, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from services.orders.search import OrderFilter

_COLUMNS = (
    "id::text AS id, customer_id, status, cancel_reason, items, total, currency, payment_method, version, created_at"
)

# The input of placing, in one round trip: an earlier order with this key, and the prices.
_FINDINGS = """
    SELECT
        (SELECT to_jsonb(found) FROM (
            SELECT {columns}, fingerprint FROM orders WHERE customer_id = :customer_id AND idempotency_key = :key
        ) AS found) AS earlier,
        (SELECT jsonb_object_agg(sku, jsonb_build_array(amount, currency)) FROM prices WHERE sku = ANY(:skus)) AS prices
"""
# The count of open orders is limited to keep it cheap.
_BACKLOG = """
        jsonb_build_object({outbox_backlog}, 'open_orders', (
            SELECT count(*) FROM (
                SELECT FROM orders WHERE status IN ('pending', 'reserved') LIMIT 1000001
            ) AS open
        ))
"""
_FIND_FOR_PLACING = statement("{findings}, NULL AS backlog", findings=_FINDINGS, columns=_COLUMNS)
# A separate statement, used periodically: a condition inside would add parse time to every order.
_FIND_AND_MEASURE = statement(
    "{findings}, {backlog} AS backlog",
    findings=_FINDINGS,
    columns=_COLUMNS,
    backlog=_BACKLOG,
    outbox_backlog=outbox.BACKLOG,
)
# State and event in one statement, which is its own transaction. No row is returned if the key is taken.
_INSERT_PLACED = text("""
    WITH placed AS (
        INSERT INTO orders (id, customer_id, idempotency_key, fingerprint, status, items, total, currency,
                            payment_method, version, created_at, updated_at, clock_reading)
        VALUES (:id, :customer_id, :key, :fingerprint, :status, CAST(:items AS jsonb), :total, :currency,
                :payment_method, :version, :created_at, :created_at, (SELECT active_seconds FROM saga_clock))
        ON CONFLICT (customer_id, idempotency_key) DO NOTHING
        RETURNING id
    )
    INSERT INTO outbox (event_id, type, correlation_id, body)
    SELECT CAST(:event_id AS uuid), :type, :correlation_id, :body FROM placed
    RETURNING position
""")
_LOCK = statement(
    "SELECT {columns} FROM orders WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY orders.id FOR UPDATE", columns=_COLUMNS
)
_GET = statement("SELECT {columns} FROM orders WHERE id = :id", columns=_COLUMNS)
_RANGE = "id < CAST(:before AS uuid) AND id >= CAST(:oldest AS uuid)"
_HAS_SKU = "jsonb_path_query_array(items, '$[*].sku') @> jsonb_build_array(CAST(:sku AS text))"
_IF_SKU = f"(CAST(:sku AS text) IS NULL OR {_HAS_SKU})"
_PAGE = "SELECT {columns} FROM orders WHERE {condition} ORDER BY {order} LIMIT :limit"
_LIST = statement(_PAGE, columns=_COLUMNS, condition=_RANGE, order="orders.id DESC")
_LIST_OF_CUSTOMER = statement(
    _PAGE,
    columns=_COLUMNS,
    condition="customer_id = :customer_id AND (CAST(:status AS text) IS NULL OR status = :status) "
    f"AND {_IF_SKU} AND {_RANGE}",
    order="orders.id DESC",
)
# With `status = :status` the planner may scan the primary key past all orders of other statuses. With this order only
# the index orders_by_status can be read.
_OF_STATUS = "(status, id) < (:status, CAST(:before AS uuid)) AND (status, id) >= (:status, CAST(:oldest AS uuid))"
_LIST_BY_STATUS = statement(_PAGE, columns=_COLUMNS, condition=_OF_STATUS, order="status DESC, orders.id DESC")
# The planner knows the frequency of a SKU: for a rare one it uses the index orders_by_sku, else it scans the orders.
_LIST_OF_SKU = statement(_PAGE, columns=_COLUMNS, condition=f"{_HAS_SKU} AND {_RANGE}", order="orders.id DESC")
_LIST_OF_SKU_BY_STATUS = statement(
    _PAGE, columns=_COLUMNS, condition=f"{_HAS_SKU} AND {_OF_STATUS}", order="status DESC, orders.id DESC"
)
_CHANGE = text("""
    UPDATE orders
    SET status = changed.status, cancel_reason = changed.cancel_reason, version = changed.version,
        final_envelope = changed.final_envelope, updated_at = now()
    FROM unnest(CAST(:id AS uuid[]), CAST(:status AS text[]), CAST(:cancel_reason AS text[]),
                CAST(:version AS bigint[]), CAST(:final_envelope AS jsonb[]))
        AS changed (id, status, cancel_reason, version, final_envelope)
    WHERE orders.id = changed.id
""")
_FINAL_ENVELOPE = text("SELECT final_envelope FROM orders WHERE id = :id")
_UPSERT_PRICE = text("""
    INSERT INTO prices (sku, name, amount, currency, sequence)
    VALUES (:sku, :name, :amount, :currency, :sequence)
    ON CONFLICT (sku) DO UPDATE
    SET name = excluded.name, amount = excluded.amount, currency = excluded.currency, sequence = excluded.sequence
    WHERE prices.sequence < excluded.sequence
""")


@dataclass(frozen=True, slots=True)
class EarlierOrder:
    """The order of the key, with the fingerprint of its request."""

    order: Order
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The input of placing an order. `backlog` only if it was requested."""

    earlier: EarlierOrder | None
    prices: Mapping[str, Money]
    backlog: Mapping[str, float] | None


def find_for_placing(
    connection: Connection, *, customer_id: str, key: str, skus: Sequence[str], measure: bool = False
) -> Findings:
    statement = _FIND_AND_MEASURE if measure else _FIND_FOR_PLACING
    row = connection.execute(statement, {"customer_id": customer_id, "key": key, "skus": list(skus)}).one()
    prices = {sku: Money(amount, currency) for sku, (amount, currency) in (row.prices or {}).items()}
    earlier = EarlierOrder(_order(row.earlier), row.earlier["fingerprint"]) if row.earlier else None
    return Findings(earlier, prices, row.backlog)


def insert_placed(
    connection: Connection, order: Order, *, key: str, fingerprint: str, outbox_row: Mapping[str, Any]
) -> bool:
    """Write the order and its event; False if the customer has already used the key."""
    values = {
        "id": order.id,
        "customer_id": order.customer_id,
        "key": key,
        "fingerprint": fingerprint,
        "status": order.status,
        "items": json.dumps([_item(line) for line in order.lines]),
        "total": order.total.amount,
        "currency": order.total.currency,
        "payment_method": order.payment_method,
        "version": order.version,
        "created_at": order.created_at,
    }
    return connection.execute(_INSERT_PLACED, values | dict(outbox_row)).first() is not None


def lock(connection: Connection, order_id: str) -> Order | None:
    """The order, locked until the transaction ends."""
    return _ROWS.get(connection, order_id)


def together(connection: Connection, order_ids: Iterable[str]) -> AbstractContextManager[None]:
    """Around changes of these orders: lock them by one statement, and write them by one."""
    return _ROWS.together(connection, order_ids)


def get(connection: Connection, order_id: str) -> Order | None:
    row = connection.execute(_GET, {"id": order_id}).mappings().first()
    return _order(row) if row else None


def page(connection: Connection, criteria: OrderFilter, *, before: str | None, limit: int) -> list[Order]:
    """Newest first."""
    values: dict[str, Any] = {"before": criteria.before(before), "oldest": criteria.oldest(), "limit": limit}
    names: tuple[str, ...] = ()
    chosen = _LIST
    if criteria.customer_id is not None:
        chosen, names = _LIST_OF_CUSTOMER, ("customer_id", "status", "sku")
    elif criteria.status is not None and criteria.sku is not None:
        chosen, names = _LIST_OF_SKU_BY_STATUS, ("status", "sku")
    elif criteria.status is not None:
        chosen, names = _LIST_BY_STATUS, ("status",)
    elif criteria.sku is not None:
        chosen, names = _LIST_OF_SKU, ("sku",)
    values |= {name: getattr(criteria, name) for name in names}
    return [_order(row) for row in connection.execute(chosen, values).mappings()]


def change(connection: Connection, order: Order, final_envelope: Mapping[str, Any] | None = None) -> None:
    """Write a locked order; `final_envelope` recreates its final event."""
    values = {
        "id": order.id,
        "status": order.status,
        "cancel_reason": order.cancel_reason,
        "version": order.version,
        "final_envelope": json.dumps(final_envelope) if final_envelope else None,
    }
    _ROWS.change(connection, order.id, order, values)


def final_envelope(connection: Connection, order_id: str) -> Mapping[str, Any] | None:
    """None while the order is open, and for one that ended before envelopes were stored."""
    _ROWS.flush(connection)
    found: Mapping[str, Any] | None = connection.execute(_FINAL_ENVELOPE, {"id": order_id}).scalar_one_or_none()
    return found


def upsert_price(connection: Connection, *, sku: str, name: str, price: Money, sequence: int) -> None:
    """Store the price, unless a later one is known."""
    values = {"sku": sku, "name": name, "amount": price.amount, "currency": price.currency, "sequence": sequence}
    connection.execute(_UPSERT_PRICE, values)


def _lock(connection: Connection, order_ids: Sequence[str]) -> dict[str, Order]:
    rows = connection.execute(_LOCK, {"ids": order_ids}).mappings()
    return {row["id"]: _order(row) for row in rows}


def _write(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(_CHANGE, columns(changes, "id", "status", "cancel_reason", "version", "final_envelope"))


_ROWS = LockedRows("orders", _lock, _write)


def _item(line: Line) -> dict[str, Any]:
    return {"sku": line.sku, "quantity": line.quantity, "amount": line.unit_price.amount}


def _order(row: Mapping[Any, Any]) -> Order:
    currency = row["currency"]
    return Order(
        id=row["id"],
        customer_id=row["customer_id"],
        status=Status(row["status"]),
        cancel_reason=CancelReason(row["cancel_reason"]) if row["cancel_reason"] else None,
        lines=tuple(Line(item["sku"], item["quantity"], Money(item["amount"], currency)) for item in row["items"]),
        total=Money(row["total"], currency),
        payment_method=row["payment_method"],
        version=row["version"],
        created_at=_moment(row["created_at"]),
    )


def _moment(value: datetime | str) -> datetime:
    # A row in JSON has its time as text.
    return datetime.fromisoformat(value) if isinstance(value, str) else value
