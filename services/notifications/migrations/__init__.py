"""The collections of notifications and their indexes; `python -m services.notifications.migrations` creates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.web import document_replies
from services.notifications import deliveries, models, owners, subscriptions

if TYPE_CHECKING:
    from pymongo import IndexModel

COLLECTIONS: dict[str, list[IndexModel]] = {
    models.COLLECTION: models.INDEXES,
    deliveries.COLLECTION: deliveries.INDEXES,
    owners.COLLECTION: owners.INDEXES,
    owners.WAITING: owners.WAITING_INDEXES,
    subscriptions.COLLECTION: [],
    document_replies.COLLECTION: document_replies.INDEXES,
}
