"""The archive worker gives positions to events stored concurrently by the previous version."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from common.storage.document_migrations import upgrade
from common.storage.mongodb import connect
from common.tests.tcp_proxy import Link
from services.archive import migrations
from workers.archive.backfill import Backfill

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.integration
SECONDS = 60.0


def eventually_has_position(archive: Database[dict[str, object]], event_id: str) -> None:
    deadline = time.monotonic() + SECONDS
    while archive["events"].find_one({"_id": event_id, "position": {"$gt": 0}}) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_events_without_a_position_get_one_also_after_an_outage(document_store: str) -> None:
    archive = connect(document_store, timeout_seconds=SECONDS, name="test", pool_size=2)
    upgrade(migrations, archive, wait_seconds=SECONDS)
    with Link(document_store) as link:
        own = connect(link.url, timeout_seconds=0.5, name="worker", pool_size=1)
        backfill = Backfill(own, pause_seconds=0.05)
        backfill.start()
        archive["events"].insert_one({"_id": "first", "received_at": ""})
        eventually_has_position(archive, "first")
        link.cut()
        archive["events"].insert_one({"_id": "second", "received_at": ""})
        time.sleep(0.7)
        link.restore()
        eventually_has_position(archive, "second")
        backfill.stop()
        own.client.close()
    archive.client.close()
