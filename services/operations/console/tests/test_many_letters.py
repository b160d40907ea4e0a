"""The pages of 10,000 dead letters issue the same commands and read as few documents as those of ten.

Only the numbers by group and by queue grow, up to a bound: they are read from an index alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from common.tests.document_plans import explained_database
from services.operations import groups, models
from services.operations.console.dead_letters import PAGE
from services.operations.domain import Filter, Status
from services.operations.tests.dead_letters import QUEUE, file

if TYPE_CHECKING:
    from pymongo.database import Database

    from common.tests.document_plans import Reading

    Documents = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
FEW, MANY = 10, 10_000
ERROR = "builtins.RuntimeError"


def fill(store: Documents, count: int) -> str:
    """Store that many copies of one dead letter; returns the middle id."""
    template = store["letters"].find_one({"_id": file(store)})
    assert template is not None
    ids = [new_id() for _ in range(count - 1)]
    store["letters"].insert_many([template | {"_id": each, "event_id": each} for each in ids])
    return ids[len(ids) // 2]


def readings_of_pages(url: str, cursor: str) -> list[Reading]:
    """The reads of the first page, the next one, a group's page, and the figures on the page Now."""
    with explained_database(url) as (database, readings):
        for criteria in (Filter(status=Status.FILED), Filter(status=Status.FILED, queue=QUEUE, error=ERROR)):
            for before in (None, cursor):
                models.page(database, criteria, before=before, limit=PAGE + 1)
        groups.largest(database, Status.FILED, 50)
        groups.waiting(database)
        return list(readings)


@pytest.mark.parametrize("bound", [100, 5])
def test_counts_are_bounded(store: Documents, document_store: str, monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    fill(store, 20)
    store["letters"].update_one({}, {"$set": {"status": Status.DISCARDED.value}})
    monkeypatch.setattr(groups, "MAX_COUNTED", bound)
    filed = min(19, bound)
    with explained_database(document_store) as (database, readings):
        assert groups.waiting(database) == {QUEUE: filed}
        assert [group["count"] for group in groups.largest(database, Status.FILED, 50)] == [filed]
        assert {row["status"]: row["count"] for row in groups.counts(database)} == {"filed": filed, "discarded": 1}
    assert max(reading.keys for reading in readings) <= filed + 1
    assert {reading.documents for reading in readings} == {0}


def test_a_page_of_10_000_dead_letters_reads_as_much_as_one_of_ten(store: Documents, document_store: str) -> None:
    few = readings_of_pages(document_store, fill(store, FEW))
    store["letters"].delete_many({})
    many = readings_of_pages(document_store, fill(store, MANY))
    assert len(few) == len(many) == 6
    for before, after in zip(few, many, strict=True):
        assert before.stages == after.stages
        assert after.documents <= PAGE + 1
        assert not {"COLLSCAN", "SORT"} & after.stages or "SORT" in before.stages
    for listed in many[:4]:
        assert listed.keys <= PAGE + 2
    for counted in many[4:]:
        assert (counted.documents, counted.keys <= MANY + 10) == (0, True)
