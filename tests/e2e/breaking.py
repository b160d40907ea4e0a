"""Breaks promises directly in the databases of the running system, and repairs them.

Each is a context manager: it breaks a promise on entry and repairs it on exit.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import requests
from psycopg2 import sql
from pymongo import MongoClient

from infrastructure.local.stack import Stack

Json = dict[str, Any]


class Saboteur:
    """Changes the databases with the stack's own passwords."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._provider = f"{stack.urls.http('sandbox')}/v1"

    @contextmanager
    def row_deleted(self, context: str, table: str, column: str, value: str) -> Iterator[None]:
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        delete = sql.SQL("DELETE FROM {table} WHERE {column} = %s RETURNING to_json({table})").format(**names)
        insert = sql.SQL("INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, %s)").format(**names)
        [[row]] = self._run(context, delete, value)
        try:
            yield
        finally:
            self._run(context, insert, json.dumps(row))

    @contextmanager
    def row_changed(self, context: str, table: str, key: tuple[str, str], **changes: Any) -> Iterator[None]:
        before = self._update(context, table, key, changes)
        try:
            yield
        finally:
            self._update(context, table, key, before)

    @contextmanager
    def event_deleted(self, subject: str, event_type: str) -> Iterator[None]:
        with self._events() as events:
            document = events.find_one_and_delete({"subject": subject, "type": event_type})
            assert document is not None
            try:
                yield
            finally:
                events.insert_one(document)

    def order_aged(self, order_id: str) -> None:
        """Backdate the order's placement on the saga clock."""
        self._update("orders", "orders", ("id", order_id), {"clock_reading": -1_000_000.0})

    def refund_due(self, payment_id: str) -> None:
        """Make the next try of a refused refund due."""
        long_ago = "2026-01-01T00:00:00Z"
        self._update("payments", "payments", ("id", payment_id), {"refund_due_at": long_ago, "updated_at": long_ago})

    def event_lost(self, subject: str, event_type: str) -> None:
        """Delete an event, which the system itself must repair."""
        with self._events() as events:
            assert events.delete_one({"subject": subject, "type": event_type}).deleted_count == 1

    @contextmanager
    def event_doubled(self, subject: str, event_type: str) -> Iterator[None]:
        with self._events() as events:
            document = events.find_one({"subject": subject, "type": event_type})
            assert document is not None
            double = str(uuid.uuid4())
            del document["position"]  # it is unique per event
            events.insert_one(document | {"_id": double})
            try:
                yield
            finally:
                events.delete_one({"_id": double})

    @contextmanager
    def charged(self, order: Json) -> Iterator[None]:
        intent = self._charge(order)
        try:
            yield
        finally:
            self._refund(intent)

    @contextmanager
    def refunded(self, order: Json, intent: str) -> Iterator[None]:
        self._refund(intent)
        try:
            yield
        finally:
            self._charge(order)

    def _charge(self, order: Json) -> str:
        total = order["total"]
        parameters = {"payment_method": "pm_card_visa", "confirm": "true", "metadata[order_id]": order["id"]}
        intent = self._ask("payment_intents", parameters | {"amount": total["amount"], "currency": total["currency"]})
        assert intent["status"] == "succeeded"
        return str(intent["id"])

    def _refund(self, intent: str) -> None:
        self._ask("refunds", {"payment_intent": intent})

    def _ask(self, what: str, parameters: Json) -> Json:
        reply = requests.post(f"{self._provider}/{what}", data=parameters, auth=("sk_test_saboteur", ""), timeout=60)
        reply.raise_for_status()
        answer: Json = reply.json()
        return answer

    def _update(self, context: str, table: str, key: tuple[str, str], changes: Json) -> Json:
        """Write the changes; returns the previous values."""
        column, value = key
        where = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        names = sql.SQL(", ").join(map(sql.Identifier, changes))
        select = sql.SQL("SELECT {names} FROM {table} WHERE {column} = %s").format(names=names, **where)
        [row] = self._run(context, select, value)
        pairs = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in changes)
        update = sql.SQL("UPDATE {table} SET {pairs} WHERE {column} = %s RETURNING 1").format(pairs=pairs, **where)
        assert self._run(context, update, *changes.values(), value) == [(1,)]
        return dict(zip(changes, row, strict=True))

    def _run(self, context: str, statement: sql.Composed, *values: Any) -> list[tuple[Any, ...]]:
        url = self._stack.urls.database(context).replace("+psycopg2", "")
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

    @contextmanager
    def _events(self) -> Iterator[Any]:
        with MongoClient[Json](self._stack.urls.documents("archive")) as client:
            yield client["archive"]["events"]
