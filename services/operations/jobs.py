"""Bulk replays: a job is a filter, a rate and the time of the request; its progress is counted on the dead letters
themselves.

A dead letter stores the jobs that replayed it, so a job replays each one once, after any crash, and does not replay one
that returns.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.messaging.events import rfc3339
from services.operations.domain import Job, Status
from services.operations.models import letters, matching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymongo.database import Database

    from services.operations.domain import Filter

    Document = dict[str, Any]

COLLECTION = "jobs"
CLAIM_SECONDS = 5.0
INDEXES = [IndexModel([("finished_at", ASCENDING), ("requested_at", ASCENDING)], name="running")]


def start(database: Database[Document], job_id: str, criteria: Filter, *, by: str, rate: float, now: str) -> None:
    """Request the replay of every stored dead letter that matches, once per id."""
    query = matching(criteria) | {"status": Status.FILED.value}
    with suppress(DuplicateKeyError):
        database[COLLECTION].insert_one(
            {
                "_id": job_id,
                "by": by,
                "requested_at": now,
                "finished_at": None,
                "query": query,
                "filter": {name: value for name in ("queue", "type", "error") if (value := getattr(criteria, name))},
                "rate": rate,
                "total": letters(database).count_documents(query),
            }
        )


def get(database: Database[Document], job_id: str) -> Job | None:
    found = database[COLLECTION].find_one({"_id": job_id})
    return _job(database, found) if found else None


def claim(database: Database[Document], holder: str) -> Document | None:
    """Claim the oldest unfinished job without a claim for this holder, for a while."""
    moment = datetime.now(UTC)
    free = {"$or": [{"holder": holder}, {"held_until": {"$exists": False}}, {"held_until": {"$lt": rfc3339(moment)}}]}
    return database[COLLECTION].find_one_and_update(
        {"finished_at": None, **free},
        {"$set": {"holder": holder, "held_until": rfc3339(moment + timedelta(seconds=CLAIM_SECONDS))}},
        sort=[("requested_at", ASCENDING)],
        return_document=ReturnDocument.AFTER,
    )


def next_letters(database: Database[Document], job: Mapping[str, Any], limit: int) -> list[str]:
    """The ids of dead letters that the job has not replayed yet, oldest first, to keep the order of events per
    subject.
    """
    query = job["query"] | {"jobs": {"$ne": job["_id"]}, "last_filed_at": {"$lte": job["requested_at"]}}
    found = letters(database).find(query, {"_id": 1}).sort("_id", ASCENDING).limit(limit)
    return [letter["_id"] for letter in found]


def finish(database: Database[Document], job_id: str, *, now: str) -> None:
    database[COLLECTION].update_one({"_id": job_id, "finished_at": None}, {"$set": {"finished_at": now}})


def _job(database: Database[Document], found: Document) -> Job:
    taken = {"jobs": found["_id"]}
    waiting = {**taken, "status": Status.REPLAYING.value, "replay.job_id": found["_id"]}
    return Job(
        id=found["_id"],
        by=found["by"],
        requested_at=found["requested_at"],
        finished_at=found["finished_at"],
        filter=found["filter"],
        rate=found["rate"],
        total=found["total"],
        waiting=letters(database).count_documents(waiting),
        taken=letters(database).count_documents(taken),
        failed=letters(database).count_documents({**taken, "failed_jobs": found["_id"]}),
    )
