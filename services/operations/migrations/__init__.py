"""The collections of operations and their indexes; `python -m services.operations.migrations` creates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.web import document_replies as replies
from services.operations import audits, bodies, jobs, models, operator_actions, sessions

if TYPE_CHECKING:
    from pymongo import IndexModel

COLLECTIONS: dict[str, list[IndexModel]] = {
    models.COLLECTION: models.INDEXES,
    jobs.COLLECTION: jobs.INDEXES,
    bodies.COLLECTION: [],
    replies.COLLECTION: replies.INDEXES,
    audits.COLLECTION: audits.INDEXES,
    operator_actions.COLLECTION: operator_actions.INDEXES,
    sessions.COLLECTION: sessions.INDEXES,
}
