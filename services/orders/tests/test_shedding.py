"""New orders are rejected while the backlog is too large."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event, text

from common.messaging.outbox import COLUMNS
from common.storage.postgresql import transaction
from common.web.load_shedding import OverloadedError, Shedding
from services.orders import usecases
from services.orders.tests.builders import MESSAGE_CONTEXT, order_command
from services.orders.tests.test_api import BODY, post

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
LIMITS = {"outbox_seconds": 900.0, "outbox_rows": 100, "open_orders": 50}


def eager() -> Shedding:
    """A load shedder that measures with every order, so that a test does not wait."""
    return Shedding(LIMITS, measure_seconds=0)


def run(engine: Engine, statement: str) -> None:
    with transaction(engine) as connection:
        connection.execute(text(statement))


def is_shed(engine: Engine) -> bool:
    try:
        usecases.place_order(engine, order_command(), MESSAGE_CONTEXT, eager())
    except OverloadedError:
        return True
    return False


def shed(backlog: str) -> float:
    return REGISTRY.get_sample_value("holdfast_shed_total", {"backlog": backlog}) or 0


def test_an_old_unpublished_event_rejects_new_orders(engine: Engine) -> None:
    assert not is_shed(engine)
    run(engine, "UPDATE outbox SET created_at = now() - interval '800 seconds'")
    assert not is_shed(engine)
    run(engine, "UPDATE outbox SET created_at = now() - interval '901 seconds'")
    assert is_shed(engine)
    with transaction(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar() == 2
    run(engine, "DELETE FROM outbox WHERE created_at < now() - interval '900 seconds'")
    assert not is_shed(engine)


def test_an_unroutable_event_does_not_reject_orders(engine: Engine) -> None:
    """Independent of its age and of later events."""
    assert not is_shed(engine)
    run(engine, "UPDATE outbox SET created_at = now() - interval '1 day', set_aside_at = now()")
    run(engine, "ALTER TABLE outbox ALTER COLUMN position RESTART WITH 1000000")
    assert not is_shed(engine)
    assert not is_shed(engine)


def test_too_many_unpublished_events_reject_new_orders(engine: Engine) -> None:
    usecases.place_order(engine, order_command(), MESSAGE_CONTEXT)
    more = f"INSERT INTO outbox ({COLUMNS}) SELECT {COLUMNS} FROM outbox"
    for _ in range(6):
        run(engine, more)
    assert not is_shed(engine)
    run(engine, more)
    assert is_shed(engine)


def test_too_many_open_orders_reject_new_ones(engine: Engine) -> None:
    for _ in range(51):
        usecases.place_order(engine, order_command(), MESSAGE_CONTEXT)
    run(engine, "DELETE FROM outbox")
    assert is_shed(engine)
    run(engine, "UPDATE orders SET status = 'confirmed' WHERE id = (SELECT id FROM orders LIMIT 1)")
    assert not is_shed(engine)


def test_a_repeated_request_is_answered_under_overload(engine: Engine) -> None:
    first = usecases.place_order(engine, order_command(key="k"), MESSAGE_CONTEXT, eager())
    run(engine, "UPDATE outbox SET created_at = now() - interval '1 hour'")
    again = usecases.place_order(engine, order_command(key="k"), MESSAGE_CONTEXT, eager())
    assert (again.order.id, again.replayed) == (first.order.id, True)


def test_load_shedding_adds_no_statement(engine: Engine) -> None:
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: statements.append(statement))
    usecases.place_order(engine, order_command(), MESSAGE_CONTEXT, eager())
    assert len([statement for statement in statements if "NOTIFY" not in statement]) == 2


def test_the_client_gets_retry_after(client: Any, engine: Engine) -> None:
    assert post(client, BODY).status_code == 202
    run(engine, "UPDATE outbox SET created_at = now() - interval '1 hour'")
    time.sleep(1.1)
    refused = shed("outbox_seconds")
    replies = [post(client, BODY) for _ in range(5)]
    assert shed("outbox_seconds") == refused + 5
    assert {(reply.status_code, reply.json["code"]) for reply in replies} == {(503, "overloaded")}
    assert all(5 <= int(reply.headers["Retry-After"]) <= 7 for reply in replies)
    run(engine, "DELETE FROM outbox")
    time.sleep(1.1)
    assert post(client, BODY).status_code == 202
