"""Bodies that are too large for a dead letter's own document, and edited ones: content-addressed storage.

A body is split into pieces far below MongoDB's document limit (16 MB), each with the body's SHA-256 and its number as
key, so storing it is idempotent. It is stored before the dead letter that references it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from services.operations.domain import IncompleteBodyError

if TYPE_CHECKING:
    from pymongo.database import Database

COLLECTION = "bodies"
PIECE_BYTES = 1024 * 1024


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def put(database: Database[dict[str, Any]], body: bytes) -> str:
    """Store it; returns its digest."""
    name = digest(body)
    for number, start in enumerate(range(0, max(1, len(body)), PIECE_BYTES)):
        piece = {"body": name, "number": number, "data": body[start : start + PIECE_BYTES]}
        try:
            database[COLLECTION].update_one({"_id": f"{name}:{number:06}"}, {"$setOnInsert": piece}, upsert=True)
        except DuplicateKeyError:  # another thread has stored the same piece
            continue
    return name


def get(database: Database[dict[str, Any]], name: str) -> bytes:
    """The body with that digest. Raises `IncompleteBodyError`."""
    pieces = database[COLLECTION].find({"_id": {"$gte": f"{name}:", "$lt": f"{name};"}}).sort("_id", ASCENDING)
    body = b"".join(piece["data"] for piece in pieces)
    if digest(body) != name:
        message = f"of the body {name} only {len(body)} bytes are stored"
        raise IncompleteBodyError(message)
    return body
