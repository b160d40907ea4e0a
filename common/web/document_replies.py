"""Idempotency-Key for contexts on MongoDB: the first reply to a POST is kept there and given again.

Guarantee: of two requests with one key at once, one acts and the other gets 409; whoever takes over from a request that
died acts under the same resource id, so that a second attempt finds what the first one left.
Not promised: that reply and effect are one transaction. A crash between them lets the repetition do the work again:
for routes on which that is harmless. A secret that is shown once is not kept, and so not shown again.
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
CLAIM_SECONDS = 30  # longer than a request may take: every wait for MongoDB is bounded
INDEXES = [IndexModel([("created_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS)]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to act on a request. `resource_id` is the first attempt's, also for who takes over."""

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
    """Return the reply of `act`, or the one that was given to the same key before, then without its `secrets`.

    `act` gets the id under which a repetition finds what it made. Without a key it is simply done.
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
    kept = {name: value for name, value in reply.body.items() if name not in secrets}
    keep(database, request_key, claimed, Reply(status, kept))
    return reply


def claim(database: Database[dict[str, Any]], request_key: RequestKey) -> Claim:
    """Claim the key, or find its reply: then there is nothing left to do.

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
    wanted = {"_id": _id(request_key), "fingerprint": request_key.fingerprint, **expired}
    try:
        # Where nothing is on file the upsert inserts; where a document is that does not match, it collides with it.
        claimed = database[COLLECTION].find_one_and_update(
            wanted, [{"$set": fields}], upsert=True, return_document=True
        )
    except DuplicateKeyError:
        return Claim("", reply=_find(database, request_key))
    assert claimed is not None  # noqa: S101 - for the type checker: an upsert returns what it wrote
    return Claim(claimed["resource_id"], claim_id)


def keep(database: Database[dict[str, Any]], request_key: RequestKey, claimed: Claim, reply: Reply) -> None:
    """Keep the reply, unless another attempt has taken the claim over."""
    owned = {"_id": _id(request_key), "claim_id": claimed.claim_id}
    database[COLLECTION].update_one(owned, {"$set": {"status": reply.status, "body": json.dumps(reply.body)}})


def release(database: Database[dict[str, Any]], request_key: RequestKey, claimed: Claim) -> None:
    """Forget the key: the attempt was refused, and a repetition may be allowed."""
    database[COLLECTION].delete_one(
        {"_id": _id(request_key), "claim_id": claimed.claim_id, "status": {"$exists": False}}
    )


def _find(database: Database[dict[str, Any]], request_key: RequestKey) -> Reply:
    known = database[COLLECTION].find_one({"_id": _id(request_key)})
    if known is None:  # released just now
        raise in_flight()
    if known["fingerprint"] != request_key.fingerprint:
        raise Rejected("this Idempotency-Key was used with a different request", code="idempotency_key_reused")
    if "status" not in known:
        raise in_flight()
    return Reply(known["status"], json.loads(known["body"]), replayed=True)


def _id(request_key: RequestKey) -> str:
    return hashlib.sha256(f"{request_key.scope}\x00{request_key.key}".encode()).hexdigest()
