"""Measures when a server answers again, without the proxies: any additional time is the system's own recovery."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pika
import psycopg2
import pymongo
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from infrastructure.local.stack import Stack

ATTEMPT_SECONDS, BOUND_SECONDS, PAUSE_SECONDS = 1, 120.0, 0.05


def returned_after(stack: Stack, server: str, restored_at: float) -> float | None:
    """Seconds from `restored_at` (monotonic) until the server works; None if not within two minutes."""
    while time.monotonic() < restored_at + BOUND_SECONDS:
        try:
            _ASK[server](stack)
        except Exception:  # noqa: BLE001 - whatever it is, it does not work yet
            time.sleep(PAUSE_SECONDS)
        else:
            return round(time.monotonic() - restored_at, 2)
    return None


def _probe_postgres(stack: Stack) -> None:
    url = stack.urls.postgres_administrator.replace("+psycopg2", "")
    with closing(psycopg2.connect(url, connect_timeout=ATTEMPT_SECONDS)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")


def _probe_rabbitmq(stack: Stack) -> None:
    parameters = pika.URLParameters(stack.urls.rabbitmq)
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = ATTEMPT_SECONDS
    with closing(pika.BlockingConnection(parameters)) as connection:
        connection.channel().queue_declare("orders.events", passive=True)


def _probe_mongodb(stack: Stack) -> None:
    milliseconds = ATTEMPT_SECONDS * 1000
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
        stack.urls.mongodb_administrator, timeoutMS=milliseconds, serverSelectionTimeoutMS=milliseconds
    )
    with client:
        if not client.admin.command("hello")["isWritablePrimary"]:
            raise ConnectionError("no primary yet")


def _probe_sandbox(stack: Stack) -> None:
    requests.get(f"{stack.urls.http('sandbox')}/livez", timeout=ATTEMPT_SECONDS).raise_for_status()


_ASK: dict[str, Callable[[Stack], None]] = {
    "postgres": _probe_postgres,
    "rabbitmq": _probe_rabbitmq,
    "mongodb": _probe_mongodb,
    "sandbox": _probe_sandbox,
}
