"""What operators did from the console: the act, its subjects, the operator, time, reason and outcome.

An act is recorded before it is executed, so an act with an unknown outcome is visible as well: its outcome stays null.
Records are deleted after `KEPT_SECONDS`. Acts on dead letters are in each dead letter's own history as well.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from common.messaging.events import new_id, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymongo.database import Database

    Document = dict[str, Any]

COLLECTION = "acts"
KEPT_SECONDS = 400 * 24 * 3600
MAX_OUTCOME_CHARACTERS = 500
DONE = "done"
INDEXES = [
    IndexModel([("subjects", ASCENDING), ("_id", DESCENDING)], name="by_subject"),
    IndexModel([("created_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS),
]


def begin(
    database: Database[Document],
    kind: str,
    subjects: Sequence[str],
    *,
    by: str,
    name: str,
    reason: str = "",
    about: Mapping[str, str] | None = None,
) -> str:
    """Record an act on `subjects` (an order, a payment ...) before its execution; returns its id.

    `about` names those of them that have a page: `order_id`, `endpoint_id`, `letter_id`.
    """
    now = datetime.now(UTC)
    act = {"_id": new_id(), "created_at": now, "at": rfc3339(now), "kind": kind, "subjects": list(subjects)}
    act |= {"by": by, "name": name, "reason": reason, "about": dict(about or {}), "outcome": None}
    database[COLLECTION].insert_one(act)
    return str(act["_id"])


def finish(database: Database[Document], act_id: str, outcome: str, result: str = "") -> None:
    """Record the outcome (`DONE`, or the reason of the refusal), and the result if the outcome does not imply it."""
    known = {"outcome": outcome[:MAX_OUTCOME_CHARACTERS], "result": result[:MAX_OUTCOME_CHARACTERS]}
    database[COLLECTION].update_one({"_id": act_id}, {"$set": known})


def of_subject(database: Database[Document], subject: str, limit: int) -> list[Document]:
    """The latest acts on it, the newest first: {id, at, kind, subjects, about, by, name, reason, outcome, result}.

    `about` and `result` are missing in old records.
    """
    return _acts(database, {"subjects": subject}, limit)


def latest(database: Database[Document], limit: int) -> list[Document]:
    """The latest acts of all, newest first."""
    return _acts(database, {}, limit)


def _acts(database: Database[Document], query: Document, limit: int) -> list[Document]:
    found = database[COLLECTION].find(query, {"created_at": 0}).sort("_id", DESCENDING).limit(limit)
    return [{"id": act.pop("_id"), **act} for act in found]
