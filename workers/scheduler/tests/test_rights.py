"""Each sweep of the scheduler can do its work with the scheduler's database role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from common.messaging import topology
from common.money import Money
from common.resilience import saga_health
from common.resilience.saga_health import QueueReader, SagaHealth
from common.resilience.sweeps import SweepContext
from common.storage.leases import Lease
from common.storage.postgresql import autocommit, make_engine
from infrastructure.database_roles import RUNTIME, SCHEDULER
from services.inventory.tests import warehouse
from services.inventory.tests.test_sweeping import age
from services.orders.models import upsert_price
from services.orders.tests import builders as shop
from workers.inventory.sweeps import HELD_SECONDS
from workers.orders import sweeps as orders
from workers.scheduler.main import OUTBOXES, SWEEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
TURN = SweepContext(should_continue=lambda: True, held_up=lambda: None)
EVERY = [(context, sweep) for context, sweeps in SWEEPS.items() for sweep in sweeps]
OLD_REPLY = """
    INSERT INTO idempotency_replies (scope, key, fingerprint, created_at)
    VALUES ('a', 'b', 'c', now() - interval '90 days')
"""
OLD_EVENT = """
    INSERT INTO outbox (event_id, type, correlation_id, body, created_at)
    VALUES (gen_random_uuid(), 'x', 'x', 'x', now() - interval '1 hour')
"""
OLD_SIGN_IN = "INSERT INTO failed_sign_ins VALUES ('a', 'b', 1, now() - interval '90 days')"
OLD_INBOX = "INSERT INTO inbox VALUES ('x', gen_random_uuid(), now() - interval '90 days')"


@pytest.fixture(scope="module")
def databases(context_database: Callable[[str], Callable[[str], str]]) -> dict[str, Callable[[str], str]]:
    return {context: context_database(context) for context in OUTBOXES}


@pytest.fixture
def connect(databases: dict[str, Callable[[str], str]]) -> Iterator[Callable[[str, str], Engine]]:
    """Return a function that opens a context's database as one of its roles."""
    made: list[Engine] = []

    def connect(context: str, part: str) -> Engine:
        made.append(make_engine(databases[context](part), pool_size=2, timeout_seconds=60, name="test"))
        return made[-1]

    yield connect
    for engine in made:
        engine.dispose()


def overdue_order(engine: Engine) -> None:
    with autocommit(engine) as connection:
        upsert_price(connection, sku="TEA", name="Tea", price=Money(450, "usd"), sequence=1)
    order = shop.place(engine)
    with autocommit(engine) as connection:
        connection.execute(text("UPDATE orders SET clock_reading = -1000 WHERE id = :id"), {"id": order})


def held_reservation(engine: Engine) -> None:
    warehouse.add(engine, "A", 5)
    order = warehouse.new_order()
    warehouse.place(engine, order, ("A", 1))
    age(engine, order, HELD_SECONDS + 1)


def execute(statement: str) -> Callable[[Engine], None]:
    def run(engine: Engine) -> None:
        with autocommit(engine) as connection:
            connection.execute(text(statement))

    return run


# Creates work for each sweep: add a line for a new sweep.
WORK: dict[str, Callable[[Engine], None]] = {
    "prune-replies": execute(OLD_REPLY),
    "prune-inbox": execute(OLD_INBOX),
    "prune-sign-ins": execute(OLD_SIGN_IN),
    "ask-about-overdue": held_reservation,
    "time-outs": overdue_order,
}


@pytest.mark.parametrize(("context", "sweep"), EVERY, ids=lambda each: getattr(each, "name", each))
def test_the_role_of_the_scheduler_has_the_privileges_of_each_sweep(
    connect: Callable[[str, str], Engine], context: str, sweep: Any
) -> None:
    WORK[sweep.name](connect(context, RUNTIME))
    own = connect(context, SCHEDULER)
    resources: Any = orders.Resources(own, timeout_seconds=60) if context == "orders" else own
    assert sweep.run(resources, TURN) == 1
    lease = Lease(own, f"sweep.{sweep.name}", "test", 30)
    assert lease.hold()
    lease.release()


def test_the_role_of_the_scheduler_can_read_outbox_lag(
    connect: Callable[[str, str], Engine], vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saga_health, "BROKER_SECONDS", 60.0)  # a slow broker is another reason
    topology.declare(vhost, {})
    engines = {context: connect(context, SCHEDULER) for context in OUTBOXES}
    with QueueReader(vhost, name="test") as queues:
        for context in OUTBOXES:
            with autocommit(connect(context, RUNTIME)) as connection:
                connection.execute(text("DELETE FROM outbox"))
        assert SagaHealth(engines, queues, (), {}).reason() is None
        execute(OLD_EVENT)(connect("payments", RUNTIME))
        assert "payments: the outbox lags" in str(SagaHealth(engines, queues, (), {}).reason())
