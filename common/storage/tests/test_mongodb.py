"""The MongoDB client on a real server: what is written is safe, and no wait is unbounded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pymongo.errors
import pytest

from common.errors import Unavailable, classify
from common.storage.mongodb import connect, ping
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

pytestmark = pytest.mark.integration


def test_writes_wait_for_the_journals_of_a_majority(document_store: str) -> None:
    database = connect(document_store, timeout_seconds=60, name="test", pool_size=1)
    database.command("profile", 2)
    database["things"].insert_one({"_id": 1})
    [written] = database["system.profile"].find({"op": "insert"})
    assert written["command"]["writeConcern"] == {"w": "majority", "j": True}
    database.client.close()


def ping_until_answered(database: Database[dict[str, Any]]) -> None:
    """A healthy server may need longer than the time-out of the test, beside busy processors."""
    deadline = time.monotonic() + 60
    while True:
        try:
            ping(database)
        except pymongo.errors.PyMongoError:
            assert time.monotonic() < deadline
        else:
            return


@pytest.mark.parametrize("fault", ["cut", "freeze"])
@pytest.mark.parametrize(
    "call",
    [
        ping,
        lambda database: database["things"].find_one({}),
        lambda database: list(database["things"].find({}).sort("a").limit(5)),
        lambda database: database["things"].update_one({"_id": 1}, {"$setOnInsert": {"a": 1}}, upsert=True),
    ],
    ids=["ping", "find_one", "find", "upsert"],
)
def test_a_dead_or_frozen_server_is_an_outage_within_the_time_out(
    document_store: str, fault: str, call: Callable[[object], object]
) -> None:
    with Link(document_store) as link:
        database = connect(link.url, timeout_seconds=0.5, name="test", pool_size=2)
        with database.client:
            ping_until_answered(database)
            getattr(link, fault)()
            started = time.monotonic()
            with pytest.raises(pymongo.errors.PyMongoError) as caught:
                call(database)
            assert time.monotonic() - started < 25  # the driver's own patience is 30 s
            assert classify(caught.value) is Unavailable
            link.restore()
