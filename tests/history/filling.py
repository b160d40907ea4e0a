"""Tables with a long history, for each context: SQL that fills them, and what to run when that is committed.

The numbers mislead the planner, which assumes evenly distributed values: rare values are also old, so a plan that scans
from the newest row until it has found enough reads nearly the whole table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from common.storage.postgresql import autocommit
from tests.history.own import OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

ROWS = 20_000
CUSTOMERS = 200
RARE_ROWS = 2_000  # the oldest: cancelled, refunded
OPEN_ROWS = 5  # older still
BACKLOG_ROWS = 1_000  # the same, after an outage with many rows for the sweeps
_N = f"generate_series(1, {ROWS}) AS n"


def id_of(number: int) -> str:
    """The id of row `number`: a later row has a higher one, as with UUIDv7."""
    return f"{number:08x}-0000-7000-8000-000000000000"


_ID = "CAST(lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000' AS uuid)"
_AT = f"now() - make_interval(secs => {ROWS} - n)"
_STATUS = f"CASE WHEN n <= {{rows}} THEN '{{open}}' WHEN n <= {RARE_ROWS} THEN '{{rare}}' ELSE '{{usual}}' END"
_ORDER_STATUS = _STATUS.format(rows=OPEN_ROWS, open="pending", rare="cancelled", usual="confirmed")
_RESERVATION_STATUS = _STATUS.format(rows=BACKLOG_ROWS, open="held", rare="released", usual="sold")
_REFUND_STATUS = _STATUS.format(rows=BACKLOG_ROWS, open="pending", rare="failed", usual="succeeded")
# A third of the backlog is captured and its order is open, a third can be charged, a third waits for its stock.
_PAYMENT_STATUS = f"""
    CASE WHEN n <= {BACKLOG_ROWS} THEN (ARRAY['captured', 'pending', 'pending'])[n % 3 + 1]
         WHEN n <= {RARE_ROWS} THEN 'refunded' ELSE 'captured' END
"""

_OUTBOX = """
    INSERT INTO outbox (event_id, type, correlation_id, body, set_aside_at)
    SELECT gen_random_uuid(), CASE WHEN n <= 5000 THEN 'thing.vanished.v1' ELSE 'thing.happened.v1' END, 'r',
           repeat('x', 600), CASE WHEN n <= 5000 THEN now() END
    FROM generate_series(1, 50000) AS n
"""
_INBOX = f"INSERT INTO inbox (consumer, event_id, received_at) SELECT 'worker', {_ID}, {{at}} FROM {_N}"
_REPLIES = f"""
    INSERT INTO idempotency_replies (scope, key, fingerprint, status, body, created_at)
    SELECT 'caller', n, 'f', 201, '{{{{}}}}', {{at}} FROM {_N}
"""
_LEASES = "INSERT INTO leases (name, holder, expires_at) VALUES ('sweep', 'holder', now())"


def _pruned(table: str, fill: str) -> list[str]:
    """A pruned table: its new rows are in the space of deleted ones."""
    old, new = fill.format(at="now() - interval '100 days'"), fill.format(at=_AT)
    return [old, f"DELETE FROM {table}", f"VACUUM {table}", new]


_REPLIES_PRUNED = _pruned("idempotency_replies", _REPLIES)
_KIT = [_OUTBOX, _LEASES, *_pruned("inbox", _INBOX), *_REPLIES_PRUNED]

_FILLINGS: dict[str, Sequence[str]] = {
    "orders": [
        f"""
        INSERT INTO orders (id, customer_id, idempotency_key, fingerprint, status, cancel_reason, items, total,
                            currency, payment_method, version, created_at, updated_at, clock_reading)
        SELECT {_ID}, 'customer-' || n % {CUSTOMERS}, n, 'f', status,
               CASE WHEN status = 'cancelled' THEN 'timed_out' END,
               jsonb_build_array(jsonb_build_object('sku', CASE WHEN n % 2 = 0 THEN 'popular' ELSE 'sku-' || n END)),
               1, 'usd', 'pm_card_visa', 3, {_AT}, {_AT}, n
        FROM (SELECT n, {_ORDER_STATUS} AS status FROM {_N}) AS n
        """,
        f"INSERT INTO prices SELECT 'sku-' || n, 'Tea', 1, 'usd', 1 FROM {_N}",
        *_KIT,
    ],
    "inventory": [
        f"""
        INSERT INTO products (sku, name, amount, currency, on_hand, reserved, sold, version)
        SELECT 'sku-' || n, 'Tea', 1, 'usd', 100, 50, 5, 1 FROM {_N}
        """,
        f"""
        INSERT INTO reservations (order_id, status, items, version, created_at, updated_at)
        SELECT {_ID}, {_RESERVATION_STATUS}, '[]', 2, {_AT}, {_AT} FROM {_N}
        """,
        *_KIT,
    ],
    "payments": [
        f"""
        INSERT INTO payments (id, order_id, order_known, stock_reserved, customer_id, amount, currency, method, status,
                              refunded, provider_id, version, created_at, updated_at, order_confirmed)
        SELECT {_ID}, {_ID}, true, n > {BACKLOG_ROWS} OR n % 3 < 2, 'customer-' || n % {CUSTOMERS}, 9, 'usd',
               'pm_card_visa', status, CASE WHEN status = 'refunded' THEN 9 ELSE 0 END, 'pi_' || n, 2, {_AT}, {_AT},
               n > {BACKLOG_ROWS}
        FROM (SELECT n, {_PAYMENT_STATUS} AS status FROM {_N}) AS n
        """,
        f"UPDATE payments SET standing_since = now(), refusals = 1 WHERE id <= '{id_of(OPEN_ROWS)}'",
        f"""
        INSERT INTO refunds (id, payment_id, amount, status, kind, reason, created_at, updated_at)
        SELECT {_ID}, {_ID}, 9, {_REFUND_STATUS},
               'compensation', 'timed_out', {_AT}, {_AT}
        FROM {_N}
        """,
        f"""
        INSERT INTO external_refunds
        SELECT {_ID}, {_ID}, 9, 'cash', NULL, 're_' || n, 'operator', {_AT} FROM {_N}
        """,
        *_KIT,
    ],
    "users": [
        f"""
        INSERT INTO users (id, username, email, role, version, created_at)
        SELECT {_ID}, 'user-' || n, 'user-' || n || '@example.org', 'customer', 1, {_AT} FROM {_N}
        """,
        f"""
        INSERT INTO api_keys (id, user_id, digest, hint, created_at)
        SELECT {_ID}, {_ID}, CAST('key-' || n AS bytea), 'hint', {_AT} FROM {_N}
        """,
        f"INSERT INTO failed_sign_ins SELECT 'user-' || n, '127.0.0.0', 1, {_AT} FROM {_N}",
        f"INSERT INTO known_networks SELECT 'user-' || n, '127.0.0.0', {_AT} FROM {_N}",
        _OUTBOX,
        _LEASES,
        *_REPLIES_PRUNED,
    ],
}
# Other contexts fill their own tables: `FILLING` in services/<context>/tests/history.py.
FILLINGS = _FILLINGS | {context: [*own.FILLING, *_KIT] for context, own in OWN.items()}


def fill(engine: Engine, context: str) -> None:
    """Fill the tables of a context, and update the planner's statistics."""
    with autocommit(engine) as connection:
        for statement in FILLINGS[context]:
            connection.execute(text(statement))
        connection.execute(text("VACUUM ANALYZE"))
