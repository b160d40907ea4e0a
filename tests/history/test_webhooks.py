"""With ten thousand endpoints and many deliveries, a query reads only the rows that it returns."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from common.messaging.events import new_id, utc_now
from common.storage.document_migrations import upgrade
from common.tests.document_plans import explained_database
from services.notifications import deliveries, migrations, models, owners, subscriptions
from services.notifications.domain import EVENT_TYPES, OPERATOR, Status
from tests.history.filling import RARE_ROWS, ROWS, id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo.database import Database

    Database_ = Database[dict[str, Any]]
    Run = Callable[[Database_], object]

pytestmark = pytest.mark.integration
MAX_DOCUMENTS = 200
BUSY, TYPE = id_of(ROWS), "order.placed.v1"
NOW = utc_now()


def _endpoint(number: int) -> dict[str, Any]:
    is_operators = number > ROWS - 20
    return {
        "_id": id_of(number),
        "owner_id": f"owner-{number // 10}",
        "slot": number % 10,
        "role": OPERATOR if is_operators else "customer",
        "event_types": list(EVENT_TYPES)[:6],
        "enabled": number % 20 > 0,
        "is_suspect": number % 10 == 1,
        "next_due_at": NOW - timedelta(hours=1) if number % 100 == 7 else models.NEVER,
        "leased_until": models.LONG_AGO,
        "is_unbound": False,
        **({"is_failing": True} if number % 40 == 1 else {}),
        "revision": 1,
    }


def _delivery(number: int) -> dict[str, Any]:
    status = Status.FAILED if number <= RARE_ROWS else Status.PENDING if number > ROWS - 50 else Status.DELIVERED
    return {
        "_id": id_of(number),
        "endpoint_id": BUSY,
        "event_id": id_of(number),
        "event_type": TYPE,
        "order_id": id_of(number // 5),
        "status": status,
        "attempts": 0,
        "due_at": NOW - timedelta(seconds=number),
        "created_at": NOW,
    }


def _claim(database: Database_) -> None:
    for is_suspect in (True, False):
        claimed = models.claim_turn(database, new_id(), is_suspect=is_suspect, now=utc_now(), seconds=60)
        if claimed:
            models.end_turn(database, claimed, next_due_at=None)


def _page(**filters: str) -> Run:
    return lambda database: deliveries.page(database, BUSY, filters, before=None, limit=21)


RUNS: dict[str, Run] = {
    "subscribers of a type": partial(models.subscribers, event_types=[TYPE], customer_ids=["owner-7"]),
    "whether customers subscribed": partial(models.has_customers, event_types=[TYPE]),
    "endpoints of an owner": partial(models.page, owner_id="owner-7", before=None, limit=21),
    "endpoints": partial(models.page, owner_id=None, before=id_of(ROWS // 2), limit=21),
    "endpoints that fail": partial(models.page, owner_id=None, before=None, limit=21, is_failing=True),
    "endpoints of an owner that fail": partial(models.page, owner_id="owner-4", before=None, limit=21, is_failing=True),
    "endpoints by id": partial(models.by_id, endpoint_ids=[BUSY, id_of(7)]),
    "ids of an owner's endpoints": partial(models.ids_of_owner, owner_id="owner-7"),
    "waking": partial(models.wake, endpoint_ids=[BUSY, id_of(7)], now=NOW),
    "a turn": _claim,
    "who waits longest": models.longest_due_at,
    "whether subscriptions wait": subscriptions.is_round_due,
    "what is due": partial(deliveries.due, endpoint_id=BUSY, now=utc_now(), limit=20),
    "when the next one is due": partial(deliveries.next_due_at, endpoint_id=BUSY),
    "deliveries": _page(),
    **{f"deliveries {status}": _page(status=status) for status in Status},
    "deliveries of an event": _page(event_id=id_of(7)),
    "deliveries of an order": _page(order_id=id_of(7)),
    "deliveries of an order that failed": _page(order_id=id_of(7), status=Status.FAILED),
    "deliveries of an order to all": partial(
        deliveries.page_of_order, order_id=id_of(7), endpoint_ids=None, before=None, limit=21
    ),
    "deliveries of an order to some": partial(
        deliveries.page_of_order, order_id=id_of(7), endpoint_ids=[BUSY, id_of(7)], before=id_of(ROWS), limit=21
    ),
    "the owners of orders": partial(owners.of_orders, order_ids=[id_of(7), id_of(8)]),
    "events that wait": partial(owners.waiting, order_ids=[id_of(7), id_of(8)]),
}


@pytest.fixture(scope="module")
def filled(servers: Any) -> Iterator[str]:
    name = f"test_{new_id().replace('-', '')}"
    url = servers.mongodb_url.replace("/archive?", f"/{name}?")
    with MongoClient[dict[str, Any]](url, tz_aware=True) as client:
        database = client[name]
        upgrade(migrations, database, wait_seconds=60)
        database["endpoints"].insert_many(map(_endpoint, range(1, ROWS + 1)), ordered=False)
        database["deliveries"].insert_many(map(_delivery, range(1, ROWS + 1)), ordered=False)
        yield url
        client.drop_database(name)


def test_no_query_reads_a_whole_collection(filled: str) -> None:
    problems = []
    with explained_database(filled) as (database, readings):
        for name, run in RUNS.items():
            readings.clear()
            run(database)
            problems += [
                f"{name}: {reading}"
                for reading in readings
                if {"COLLSCAN", "SORT"} & reading.stages
                or reading.documents > MAX_DOCUMENTS
                or reading.keys > 2 * MAX_DOCUMENTS
            ]
    assert not problems, "\n".join(problems)
