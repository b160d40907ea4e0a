"""The reservations of orders and the stock they hold: locked by one statement and written by another, for one order or
for all orders of a batch.

Locks are always taken in one order, so transactions cannot deadlock: reservations first, by order, then the products by
sku. A reservation is created when it is locked, so that a concurrent delivery of its order waits for it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.storage.statements import columns
from services.inventory.domain import Line, Reservation, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from services.inventory.domain import Move

_BOOK = "holdfast_reservations"

# Each product has to pass the filter on its sku first, so none is locked before the reservations are.
_OPEN = text("""
    WITH claimed AS (
        INSERT INTO reservations (order_id, status, items, version)
        SELECT * FROM jsonb_to_recordset(CAST(:placed AS jsonb))
            AS placed (order_id uuid, status text, items jsonb, version bigint)
        ORDER BY order_id
        ON CONFLICT (order_id) DO NOTHING
        RETURNING order_id, items
    ), known AS MATERIALIZED (
        SELECT order_id, status, items, version FROM reservations
        WHERE order_id = ANY(CAST(:order_ids AS uuid[])) ORDER BY order_id FOR UPDATE
    ), stock AS (
        SELECT sku, on_hand - reserved AS available FROM products
        WHERE sku = ANY(ARRAY(
            SELECT item ->> 'sku'
            FROM (SELECT items FROM claimed UNION ALL SELECT items FROM known) AS orders,
                 jsonb_array_elements(items) AS item
        ))
        ORDER BY sku FOR UPDATE
    )
    SELECT (SELECT jsonb_agg(order_id) FROM claimed) AS claimed,
           (SELECT jsonb_agg(to_jsonb(known)) FROM known) AS known,
           (SELECT jsonb_object_agg(sku, available) FROM stock) AS available
""")
# Reservations, stock and events in one statement; `_OPEN` has locked the rows.
_WRITE = text("""
    WITH changed AS (
        UPDATE reservations SET status = new.status, version = new.version, updated_at = clock_timestamp()
        FROM unnest(CAST(:order_id AS uuid[]), CAST(:status AS text[]), CAST(:version AS bigint[]))
            AS new (order_id, status, version)
        WHERE reservations.order_id = new.order_id
    ), moved AS (
        UPDATE products
        SET on_hand = products.on_hand + moves.on_hand, reserved = products.reserved + moves.reserved,
            sold = products.sold + moves.sold
        FROM unnest(CAST(:sku AS text[]), CAST(:on_hand AS bigint[]), CAST(:reserved AS bigint[]),
                    CAST(:sold AS bigint[])) AS moves (sku, on_hand, reserved, sold)
        WHERE products.sku = moves.sku
    )
    INSERT INTO outbox (event_id, type, correlation_id, body)
    SELECT * FROM unnest(CAST(:event_id AS uuid[]), CAST(:type AS text[]), CAST(:correlation_id AS text[]),
                         CAST(:body AS text[]))
""")
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


@contextmanager
def together(connection: Connection, *, placed: Iterable[Reservation], order_ids: Iterable[str]) -> Iterator[None]:
    """Within the block the functions below work on what is locked at its begin, and write at its end.

    `placed` will be claimed; the reservations of `order_ids` are locked. Nothing is written if the block raises.
    """
    book = connection.info[_BOOK] = _open(connection, placed=placed, order_ids=order_ids)
    try:
        yield
        if book.events:
            _write(connection, book)
    finally:
        del connection.info[_BOOK]


def claim(connection: Connection, reservation: Reservation) -> Mapping[str, int] | None:
    """Create the reservation and lock its stock; returns the available quantity of each known sku.

    None if the order already has a reservation: then nothing is written or locked.
    """
    book = connection.info.get(_BOOK) or _open(connection, placed=[reservation], order_ids=[])
    if reservation.order_id not in book.claimed:
        return None
    book.claimed.remove(reservation.order_id)
    available: Mapping[str, int] = book.available
    return available


def hold(connection: Connection, reservation: Reservation, move: Move, outbox_row: Mapping[str, Any]) -> None:
    """Move the stock of a claimed reservation, and write its event."""
    with _book(connection) as book:
        book.known[reservation.order_id] = reservation
        book.move(reservation, move)
        book.events.append(outbox_row)


def reject(connection: Connection, reservation: Reservation, outbox_row: Mapping[str, Any]) -> None:
    """Write the rejection of a claimed reservation, and its event."""
    with _book(connection) as book:
        book.change(reservation)
        book.events.append(outbox_row)


def lock_reservation(connection: Connection, order_id: str) -> Reservation | None:
    """The reservation, locked with its stock until the transaction ends."""
    book = connection.info.get(_BOOK) or _open(connection, placed=[], order_ids=[order_id])
    found: Reservation | None = book.known.get(order_id)
    return found


def settle(connection: Connection, reservation: Reservation, move: Move, outbox_row: Mapping[str, Any]) -> None:
    """Write the new status of a locked reservation, move its stock, and write its event."""
    with _book(connection) as book:
        book.change(reservation)
        book.move(reservation, move)
        book.events.append(outbox_row)


def remember_cancelled(connection: Connection, order_id: str) -> bool:
    """Record the cancellation of an order without a reservation; False if it got one concurrently."""
    values = {"order_id": order_id, "status": Status.CANCELLED}
    return connection.execute(_REMEMBER, values).rowcount == 1


def ask_about_held(connection: Connection, *, held_seconds: float, limit: int) -> list[Reservation]:
    """Overdue reservations, with their version raised; each is returned again after twice the time."""
    rows = connection.execute(_ASK, {"seconds": held_seconds, "limit": limit}).mappings()
    return [_reservation(row) for row in rows]


@dataclass(slots=True)
class _Book:
    """What is locked, as this transaction has changed it, and what is to be written."""

    claimed: set[str] = field(default_factory=set)  # created, but not yet claimed by their events
    known: dict[str, Reservation] = field(default_factory=dict)
    available: dict[str, int] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    moves: defaultdict[str, dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: {"on_hand": 0, "reserved": 0, "sold": 0})
    )
    events: list[Mapping[str, Any]] = field(default_factory=list)

    def change(self, reservation: Reservation) -> None:
        self.known[reservation.order_id] = self.reservations[reservation.order_id] = reservation

    def move(self, reservation: Reservation, move: Move) -> None:
        for line in reservation.lines:
            moved = self.moves[line.sku]
            moved["on_hand"] += move.on_hand * line.quantity
            moved["reserved"] += move.reserved * line.quantity
            moved["sold"] += move.sold * line.quantity
            self.available[line.sku] = self.available.get(line.sku, 0) + (move.on_hand - move.reserved) * line.quantity


@contextmanager
def _book(connection: Connection) -> Iterator[_Book]:
    """The book of `together`; without it an empty one, which is written at once."""
    book: _Book | None = connection.info.get(_BOOK)
    if book is not None:
        yield book
    else:
        yield (book := _Book())
        _write(connection, book)


def _open(connection: Connection, *, placed: Iterable[Reservation], order_ids: Iterable[str]) -> _Book:
    new = [
        {
            "order_id": reservation.order_id,
            "status": reservation.status,
            "items": [{"sku": line.sku, "quantity": line.quantity} for line in reservation.lines],
            "version": reservation.version,
        }
        for reservation in placed
    ]
    row = connection.execute(_OPEN, {"placed": json.dumps(new), "order_ids": list(order_ids)}).one()
    known = [_reservation(each) for each in row.known or ()]
    return _Book(set(row.claimed or ()), {each.order_id: each for each in known}, row.available or {})


def _write(connection: Connection, book: _Book) -> None:
    changed = [
        {"order_id": each.order_id, "status": each.status, "version": each.version}
        for each in book.reservations.values()
    ]
    moves = [{"sku": sku, **moved} for sku, moved in book.moves.items()]
    values = (
        columns(changed, "order_id", "status", "version")
        | columns(moves, "sku", "on_hand", "reserved", "sold")
        | columns(book.events, "event_id", "type", "correlation_id", "body")
    )
    connection.execute(_WRITE, values)


def _reservation(row: Mapping[Any, Any]) -> Reservation:
    items: Sequence[Mapping[str, Any]] = row["items"]
    return Reservation(
        order_id=row["order_id"],
        status=Status(row["status"]),
        lines=tuple(Line(item["sku"], item["quantity"]) for item in items),
        version=row["version"],
    )
