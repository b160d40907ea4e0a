"""Idempotency-Key for contexts on MongoDB: stores the first response to a POST and replays it.

Guarantee: of two concurrent requests with one key, one acts and the other gets 409. A request that takes over from one
that died uses the same resource id, so that it finds the first one's work.
Not promised: that response and effect are one transaction. After a crash between them a repetition does the work again,
so use it only on routes where that is harmless. A secret that is shown once is not stored, and so not shown again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from common.errors import Rejected
from common.messaging.events import new_id
from common.web.idempotency import Reply, RequestKey, in_flight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pymongo.database import Database

COLLECTION = "replies"
KEPT_SECONDS = 7 * 24 * 3600
CLAIM_SECONDS = 30  # longer than the longest request: every wait for MongoDB is bounded
INDEXES = [IndexModel([("created_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS)]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to act on a request. `resource_id` is the first attempt's, also after a takeover."""

    resource_id: str
    claim_id: str = ""
    reply: Reply | None = None


def once(
    database: Database[dict[str, Any]],
    request_key: RequestKey | None,
    status: int,
    act: Callable[[Database[dict[str, Any]], str], dict[str, Any]],
    *,
    secrets: Collection[str] = (),
) -> Reply:
    """Return the response of `act`, or the stored response of the same key, without its `secrets`.

    `act` gets the id under which a repetition finds its resource. Without a key `act` is simply called.
    """
    if request_key is None:
        return Reply(status, act(database, new_id()))
    claimed = claim(database, request_key)
    if claimed.reply is not None:
        return claimed.reply
    try:
        reply = Reply(status, act(database, claimed.resource_id))
    except Rejected:
        release(database, request_key, claimed)
        raise
    stored = {name: value for name, value in reply.body.items() if name not in secrets}
    store(database, request_key, claimed, Reply(status, stored))
    return reply


def claim(database: Database[dict[str, Any]], request_key: RequestKey) -> Claim:
    """Claim the key, or return its stored response.

    Raises `Conflict` (`idempotency_key_in_flight`) and `Rejected` (`idempotency_key_reused`).
    """
    claim_id, now = new_id(), datetime.now(UTC)
    expired = {"claimed_until": {"$lt": now}, "status": {"$exists": False}}
    fields = {
        "fingerprint": request_key.fingerprint,
        "claim_id": claim_id,
        "claimed_until": now + timedelta(seconds=CLAIM_SECONDS),
        "resource_id": {"$ifNull": ["$resource_id", new_id()]},
        "created_at": {"$ifNull": ["$created_at", now]},
    }
    query = {"_id": _id(request_key), "fingerprint": request_key.fingerprint, **expired}
    try:
        # Without a document the upsert inserts; with one that does not match, it raises a duplicate key error.
        claimed = database[COLLECTION].find_one_and_update(query, [{"$set": fields}], upsert=True, return_document=True)
    except DuplicateKeyError:
        return Claim("", reply=_find(database, request_key))
    assert claimed is not None  # noqa: S101 - for the type checker: an upsert returns what it wrote
    return Claim(claimed["resource_id"], claim_id)


def store(database: Database[dict[str, Any]], request_key: RequestKey, claimed: Claim, reply: Reply) -> None:
    """Store the response, unless another attempt has taken over the claim."""
    owned = {"_id": _id(request_key), "claim_id": claimed.claim_id}
    database[COLLECTION].update_one(owned, {"$set": {"status": reply.status, "body": json.dumps(reply.body)}})


def release(database: Database[dict[str, Any]], request_key: RequestKey, claimed: Claim) -> None:
    """Release the key: the attempt was rejected, and a repetition may succeed."""
    database[COLLECTION].delete_one(
        {"_id": _id(request_key), "claim_id": claimed.claim_id, "status": {"$exists": False}}
    )


def _find(database: Database[dict[str, Any]], request_key: RequestKey) -> Reply:
    known = database[COLLECTION].find_one({"_id": _id(request_key)})
    if known is None:  # released in between
        raise in_flight()
    if known["fingerprint"] != request_key.fingerprint:
        raise Rejected("this Idempotency-Key was used with a different request", code="idempotency_key_reused")
    if "status" not in known:
        raise in_flight()
    return Reply(known["status"], json.loads(known["body"]), replayed=True)


def _id(request_key: RequestKey) -> str:
    return hashlib.sha256(f"{request_key.scope}\x00{request_key.key}".encode()).hexdigest()
