"""Upgrades next to the previous version: the content of migrations, and an event's new version next to the old one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.messaging import outbox, topology
from common.messaging import redelivery as redelivery_module
from common.messaging.consumer import Consumer
from common.messaging.consumer_pause import ConsumerPause
from common.messaging.events import Event, MessageContext, new_id
from common.messaging.inbox import Delivery
from common.messaging.redelivery import Incoming, Redelivery
from common.money import Money
from common.storage.postgresql import make_engine, transaction
from services.inventory.tests.warehouse import add, published, stock
from services.orders.domain import Line, Order, Status
from services.orders.producers import order_placed
from tests.safe_migrations import Unsafe, rendered, unsafe
from tests.upgrading import HANDLERS_OF_BOTH, order_placed_in_both_versions, order_placed_v2
from workers.inventory.consumers import HANDLERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

ROOT = Path(__file__).parents[1]
MIGRATIONS = {
    f"{path.parents[2].name}/{path.stem}": path
    for path in sorted(ROOT.glob("services/*/migrations/versions/*.py"))
    if path.stem != "__init__"
}
FIRST_RELEASE = "before the first release: nobody's table is as large as to be noticed"
# Known unsafe changes, and why they are acceptable.
ACCEPTED = {
    Unsafe(
        "inventory/0002_overdue",
        "require-concurrent-index-creation",
        "CREATE INDEX reservations_held ON reservations (created_at) WHERE status = 'held';",
    ): FIRST_RELEASE,
    Unsafe(
        "orders/0002_saga_clock",
        "require-concurrent-index-creation",
        "CREATE INDEX orders_open_by_clock ON orders (clock_reading) WHERE status IN ('pending', 'reserved');",
    ): FIRST_RELEASE,
    Unsafe("orders/0002_saga_clock", "require-concurrent-index-deletion", "DROP INDEX orders_open;"): FIRST_RELEASE,
    Unsafe(
        "payments/0002_overdue",
        "require-concurrent-index-creation",
        "CREATE INDEX payments_waiting ON payments (created_at)",
    ): FIRST_RELEASE,
}
MESSAGE_CONTEXT = MessageContext("test")


@pytest.mark.parametrize("name", MIGRATIONS)
def test_a_migration_is_safe_while_the_previous_version_runs(name: str) -> None:
    sql = rendered(MIGRATIONS[name])
    assert "CREATE" in sql or "ALTER" in sql, "nothing was rendered"
    assert set(unsafe(name, sql)) == {known for known in ACCEPTED if known.migration == name}


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE orders DROP COLUMN total", "ban-drop-column"),
        ("DROP TABLE orders", "ban-drop-table"),
        ("ALTER TABLE orders RENAME COLUMN total TO sum", "renaming-column"),
        ("ALTER TABLE orders RENAME TO purchases", "renaming-table"),
        ("ALTER TABLE orders ADD COLUMN channel text NOT NULL", "adding-required-field"),
        ("ALTER TABLE orders ADD COLUMN seen timestamptz DEFAULT clock_timestamp()", "adding-field-with-default"),
        ("ALTER TABLE orders ALTER COLUMN version TYPE bigint", "changing-column-type"),
        ("ALTER TABLE orders ALTER COLUMN cancel_reason SET NOT NULL", "adding-not-nullable-field"),
        ("ALTER TABLE orders ADD CONSTRAINT paid CHECK (total > 0)", "constraint-missing-not-valid"),
        ("CREATE INDEX orders_by_total ON orders (total)", "require-concurrent-index-creation"),
        ("DROP INDEX orders_open", "require-concurrent-index-deletion"),
        ("UPDATE orders SET currency = 'usd'", "changes-rows"),
    ],
)
def test_unsafe_migrations_are_detected(statement: str, rule: str) -> None:
    sql = f"BEGIN;\n\n{statement};\n\nCOMMIT;\n"
    assert rule in {found.rule for found in unsafe("x", sql)}


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE orders ADD COLUMN channel text",
        "ALTER TABLE orders ADD COLUMN channel text NOT NULL DEFAULT 'web'",
        "ALTER TABLE orders ADD CONSTRAINT paid CHECK (total > 0) NOT VALID",
        "CREATE TABLE notes (id uuid PRIMARY KEY); CREATE INDEX notes_by ON notes (id)",
        "COMMIT; CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_total ON orders (total); BEGIN",
    ],
)
def test_additions_are_safe(statement: str) -> None:
    assert unsafe("x", f"BEGIN;\n\n{statement};\n\nCOMMIT;\n") == []


@pytest.fixture
def engine(migrated_database: Callable[[str], str]) -> Iterator[Engine]:
    made = make_engine(migrated_database("inventory"), pool_size=2, timeout_seconds=60, name="test-upgrades")
    add(made, "TEA-1", 10)
    yield made
    made.dispose()


def new_order() -> Order:
    price = Money(450, "usd")
    return Order(
        id=new_id(),
        customer_id="ann",
        status=Status.PENDING,
        lines=(Line("TEA-1", 2, price),),
        total=Money(900, "usd"),
        payment_method="pm_card_visa",
        version=1,
        created_at=datetime.now(UTC),
    )


def receive(engine: Engine, event: Event) -> None:
    HANDLERS_OF_BOTH[event.type](Delivery("inventory", event), engine)


@pytest.mark.integration
def test_the_new_reader_handles_both_versions_alike(engine: Engine) -> None:
    """So old and new instances of the publisher may run concurrently, and the publisher may be rolled back."""
    for reserved, make_event in ((2, order_placed), (4, order_placed_v2)):
        receive(engine, make_event(new_order(), MESSAGE_CONTEXT))
        assert stock(engine, "TEA-1") == (10, reserved, 0)


@pytest.mark.integration
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_consumer_of_both_versions_of_an_order_reserves_once(engine: Engine, newest_first: bool) -> None:
    order, events = order_placed_in_both_versions(new_order(), MESSAGE_CONTEXT)
    for event in reversed(events) if newest_first else events:
        receive(engine, event)
    assert stock(engine, "TEA-1") == (10, 2, 0)
    assert [event.type for event in published(engine, order.id)] == ["stock.reserved.v1"]


@pytest.mark.integration
def test_both_versions_are_written_together_with_consecutive_sequences(engine: Engine) -> None:
    order, events = order_placed_in_both_versions(new_order(), MESSAGE_CONTEXT)
    with pytest.raises(RuntimeError), transaction(engine) as connection:  # noqa: PT012 - the transaction raises
        outbox.add(connection, *events)
        raise RuntimeError("the order could not be stored")
    assert published(engine, order.id) == []
    with transaction(engine) as connection:
        outbox.add(connection, *events)
    versions = [(event.type, event.sequence) for event in published(engine, order.id)]
    assert versions == [("order.placed.v1", 1), ("order.placed.v2", 2)]
    assert order.version == 2  # the number of events that the archive must have


@pytest.mark.integration
def test_an_old_reader_loses_no_event_of_the_new_version(
    vhost: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an old worker the new version is a dead letter, which is replayed after the worker's upgrade."""
    monkeypatch.setattr(redelivery_module, "CONFIRM_SECONDS", 60.0)
    topology.declare(vhost, {"inventory": HANDLERS_OF_BOTH}, timeout_seconds=60)
    event = order_placed_v2(new_order(), MESSAGE_CONTEXT)
    redelivery = Redelivery(vhost, topology.events_queue("inventory"))
    outcomes = [
        Consumer(
            "inventory", handlers, engine, redelivery, retry_attempts=3, pause=ConsumerPause("inventory", {})
        ).handle(event, Incoming(event.to_json()))
        for handlers in (HANDLERS, HANDLERS_OF_BOTH)
    ]
    redelivery._connection.collect(socket_timeout=1)
    assert outcomes == ["dead", "done"]
    assert stock(engine, "TEA-1") == (10, 2, 0)
