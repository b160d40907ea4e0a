"""Idempotency-Key for the routes of operations: the first reply to a POST is kept in MongoDB and answered again.

What these routes do is harmless to do twice, so reply and effect need no common transaction: a crash between them lets
the repetition do it again. Two requests with one key at once may both do it; they are answered alike.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from common.errors import Rejected
from common.web.idempotency import Reply, RequestKey

if TYPE_CHECKING:
    from pymongo.database import Database

COLLECTION = "replies"
KEPT_SECONDS = 7 * 24 * 3600
INDEXES = [IndexModel([("created_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS)]


def find(database: Database[dict[str, Any]], request_key: RequestKey) -> Reply | None:
    """The reply kept for the key; raises `Rejected` if it belongs to a different request."""
    known = database[COLLECTION].find_one({"_id": _id(request_key)})
    if known is None:
        return None
    if known["fingerprint"] != request_key.fingerprint:
        raise Rejected("this Idempotency-Key was used with a different request", code="idempotency_key_reused")
    return Reply(known["status"], json.loads(known["body"]), replayed=True)


def keep(database: Database[dict[str, Any]], request_key: RequestKey, reply: Reply) -> None:
    """Keep it unless one is kept already."""
    kept = {"fingerprint": request_key.fingerprint, "status": reply.status, "body": json.dumps(reply.body)}
    try:
        database[COLLECTION].update_one(
            {"_id": _id(request_key)}, {"$setOnInsert": kept | {"created_at": datetime.now(UTC)}}, upsert=True
        )
    except DuplicateKeyError:
        return


def _id(request_key: RequestKey) -> str:
    return hashlib.sha256(f"{request_key.scope}\x00{request_key.key}".encode()).hexdigest()
