"""Reports of audits: the time, the reporter, and how often each promise was found broken.

A report is recorded, not verified: any operator may submit one. The system view and the metrics show the newest.
Reports are deleted after `KEPT_SECONDS`, so a system without audits has none, and never an outdated one that looks
current.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from common.messaging.events import new_id, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymongo.database import Database

COLLECTION = "audits"
KEPT_SECONDS = 400 * 24 * 3600
INDEXES = [IndexModel([("created_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS)]


def record(database: Database[dict[str, Any]], report: Mapping[str, Any], *, by: str) -> dict[str, Any]:
    """Store a report {orders, promises: [{promise, broken}], findings?: [...]}; returns it as `last` does."""
    now = datetime.now(UTC)
    audit = {
        "_id": new_id(),
        "created_at": now,
        "at": rfc3339(now),
        "by": by,
        "orders": report["orders"],
        "promises": [{"promise": each["promise"], "broken": each["broken"]} for each in report["promises"]],
        "findings": [
            {name: each[name] for name in ("promise", "subject", "text")} for each in report.get("findings", ())
        ],
    }
    database[COLLECTION].insert_one(audit)
    return _audit(audit)


def last(database: Database[dict[str, Any]]) -> dict[str, Any] | None:
    """The newest: {id, at, by, ok, orders, broken, promises, findings}; None if there is none."""
    found = database[COLLECTION].find_one(sort=[("created_at", DESCENDING)])
    return _audit(found) if found else None


def find(database: Database[dict[str, Any]], audit_id: str) -> dict[str, Any] | None:
    """One of them, as `last` returns it."""
    found = database[COLLECTION].find_one({"_id": audit_id})
    return _audit(found) if found else None


def latest(database: Database[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Newest first, each as `last` returns it but without its findings."""
    cursor = database[COLLECTION].find({}, {"findings": False}, sort=[("created_at", DESCENDING)], limit=limit)
    return [_audit(found) for found in cursor]


def _audit(audit: Mapping[str, Any]) -> dict[str, Any]:
    broken = sum(each["broken"] for each in audit["promises"])
    fields = {name: audit[name] for name in ("at", "by", "orders", "promises")}
    findings = audit.get("findings", [])  # older records have none
    return {"id": audit["_id"], "ok": broken == 0, "broken": broken, **fields, "findings": findings}
