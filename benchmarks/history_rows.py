"""Rows and documents of old orders, written directly to a stack's databases.

Nothing of it went through the system, so `holdfast audit` would rightly complain: for a stack that is thrown away.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import psycopg2
from pymongo import MongoClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrastructure.local.stack import Stack

ORDERS_OF_A_CUSTOMER = 100
ORDERS_OF_A_DEAD_LETTER = 50
BATCH_DOCUMENTS = 2_000
_START = datetime(2025, 1, 1, tzinfo=UTC)
_START_MS = int(_START.timestamp() * 1000)
_EVENTS = ("order.placed", "stock.reserved", "payment.captured", "order.confirmed", "stock.sold")
_ERRORS = ("builtins.KeyError", "services.orders.domain.BadOrderError", "common.errors.Rejected")

# UUIDv7 ids, one every 10 ms; one in a hundred orders is cancelled.
_NUMBERED = f"""
    SELECT n, CAST(regexp_replace(lpad(to_hex({_START_MS} + n * 10), 12, '0'), '(.{{8}})(.{{4}})', '\\1-\\2')
                   || '-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid) AS id,
           timestamptz '2025-01-01 00:00:00+00' + n * interval '10 ms' AS at,
           CASE WHEN n %% %(orders_of_a_customer)s = 0 THEN 'cancelled' ELSE 'confirmed' END AS status,
           CASE WHEN n / %(orders_of_a_customer)s = %(first)s / %(orders_of_a_customer)s THEN %(customer)s
                ELSE 'customer-' || n / %(orders_of_a_customer)s END AS customer_id
    FROM generate_series(%(first)s, %(last)s) AS n
"""
_ROWS = {
    "orders": f"""
        INSERT INTO orders (id, customer_id, idempotency_key, fingerprint, status, cancel_reason, items, total,
                            currency, payment_method, version, created_at, updated_at, clock_reading)
        SELECT id, customer_id, 'history-' || n, 'f', status, CASE WHEN status = 'cancelled' THEN 'out_of_stock' END,
               '[{{"sku": "BENCH-TEA", "quantity": 1, "amount": 790}}]', 790, 'usd', 'pm_card_visa', 3, at, at, 0
        FROM ({_NUMBERED}) AS numbered
    """,
    "inventory": f"""
        INSERT INTO reservations (order_id, status, items, version, created_at, updated_at)
        SELECT id, CASE WHEN status = 'cancelled' THEN 'rejected' ELSE 'sold' END,
               '[{{"sku": "BENCH-TEA", "quantity": 1}}]', 2, at, at
        FROM ({_NUMBERED}) AS numbered
    """,
    "payments": f"""
        INSERT INTO payments (id, order_id, order_known, stock_reserved, customer_id, amount, currency, method, status,
                              provider_id, version, created_at, updated_at, order_confirmed)
        SELECT id, id, true, status <> 'cancelled', customer_id, 790, 'usd', 'pm_card_visa',
               CASE WHEN status = 'cancelled' THEN status ELSE 'captured' END, 'pi_history_' || n, 1, at, at,
               status <> 'cancelled'
        FROM ({_NUMBERED}) AS numbered
    """,
}
_INBOX = f"""
    INSERT INTO inbox (consumer, event_id, received_at) SELECT 'history', id, now() FROM ({_NUMBERED}) AS numbered
"""


def order_id(number: int) -> str:
    digits = f"{_START_MS + number * 10:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{number:012x}"


def fill(stack: Stack, first: int, last: int, *, customer_id: str) -> None:
    """Write the orders `first` to `last`; the first hundred are `customer_id`'s."""
    values = {"first": first, "last": last, "customer": customer_id, "orders_of_a_customer": ORDERS_OF_A_CUSTOMER}
    for context, statement in _ROWS.items():
        with closing(psycopg2.connect(stack.urls.database(context).replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for each in (statement, _INBOX):
                    cursor.execute(each, values)
                cursor.execute("VACUUM ANALYZE")
    with MongoClient[dict[str, Any]](stack.urls.documents("archive")) as client:
        archive = client.get_default_database()["events"]
        newest = archive.find_one({"position": {"$gt": 0}}, sort=[("position", -1)])
        _insert(archive, _events(first, last, int(newest["position"]) if newest else 0))
    with MongoClient[dict[str, Any]](stack.urls.documents("operations")) as client:
        _insert(client.get_default_database()["letters"], _dead_letters(first, last))


def _insert(collection: Any, documents: Iterator[dict[str, Any]]) -> None:
    while batch := list(islice(documents, BATCH_DOCUMENTS)):
        collection.insert_many(batch, ordered=False)


def _events(first: int, last: int, position: int) -> Iterator[dict[str, Any]]:
    for number in range(first, last + 1):
        order = order_id(number)
        for index, kind in enumerate(_EVENTS):
            position += 1
            at = _moment(number, index)
            yield {
                "_id": order_id(number)[:-12] + f"{index + 1:04x}{number:08x}",
                "source": f"/services/{kind.partition('.')[0]}s",
                "type": f"{kind}.v1",
                "subject": order,
                "orderid": order,
                "customer_id": f"customer-{number // ORDERS_OF_A_CUSTOMER}",
                **dict.fromkeys(("time", "at", "received_at"), at),
                "sequence": index + 1,
                "correlationid": order,
                "data": f'{{"order_id":"{order}"}}',
                "position": position,
            }


def _dead_letters(first: int, last: int) -> Iterator[dict[str, Any]]:
    for number in range(first, last + 1, ORDERS_OF_A_DEAD_LETTER):
        error = _ERRORS[number // ORDERS_OF_A_DEAD_LETTER % len(_ERRORS)]
        yield {
            "_id": order_id(number),
            "event_id": order_id(number),
            "queue": f"{_EVENTS[number % 2].partition('.')[0]}s.events",
            "event_type": f"{_EVENTS[number % len(_EVENTS)]}.v1",
            "subject": order_id(number),
            "error_class": error,
            "error_name": error.rpartition(".")[2],
            "error": "a bug",
            "reason": "attempts_exhausted",
            "traceback": "Traceback",
            "attempts": 4,
            **dict.fromkeys(("failed_at", "filed_at", "last_filed_at"), _moment(number, 0)),
            "headers": "{}",
            "status": "discarded" if number % 3 else "filed",
            "body": b"{}",
            "body_sha256": f"{number:064x}",
            "body_bytes": 2,
            "history": [],
            "deaths": [order_id(number)],
        }


def _moment(number: int, index: int) -> str:
    return (
        (_START + timedelta(milliseconds=number * 10 + index)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )
