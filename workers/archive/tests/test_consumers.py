"""The archive receives every event of the contracts twice and out of order, on a real MongoDB."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import NotFound
from common.messaging import topology
from common.messaging.events import Event, from_document
from common.messaging.inbox import AlreadyHandled, Delivery
from common.storage.document_migrations import upgrade
from common.storage.mongodb import connect
from common.web.pagination import Page
from services.archive import migrations, usecases
from services.archive.domain import Filter
from services.archive.event_log import EventLog
from workers.archive.consumers import HANDLERS, file_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database

    Archive = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"


@pytest.fixture
def archive(document_store: str) -> Iterator[Archive]:
    database = connect(document_store, timeout_seconds=60, name="test-archive", pool_size=2)
    upgrade(migrations, database, wait_seconds=60)
    yield database
    database.client.close()


def sample(event_type: str, **changes: Any) -> Event:
    document = json.loads((SAMPLES / f"{event_type}.json").read_text())
    return from_document(document | changes)


def receive(archive: Archive, event: Event) -> bool:
    """Pass the event to its consumer; returns whether it was new."""
    try:
        HANDLERS[topology.EVERYTHING](Delivery("archive", event), EventLog(archive))
    except AlreadyHandled:
        return False
    return True


def test_every_published_event_is_stored_once_in_any_order(archive: Archive) -> None:
    events = [from_document(json.loads(path.read_text())) for path in SAMPLES.glob("*.json")]
    deliveries = random.sample(events * 2, len(events) * 2)
    incoming = [event.id for event in deliveries if receive(archive, event)]
    assert sorted(incoming) == sorted(event.id for event in events)
    filed = usecases.list_events(archive, Filter(), Page(limit=100))
    assert {entry.id: entry.data for entry in filed} == {event.id: event.data for event in events}


def test_an_unknown_event_type_is_stored(archive: Archive) -> None:
    assert receive(archive, sample("order.confirmed.v1", type="parcel.handed_over.v3"))


def test_the_customer_of_an_order_sees_its_timeline(archive: Archive) -> None:
    placed, confirmed = sample("order.placed.v1"), sample("order.confirmed.v1")
    receive(archive, confirmed)
    with pytest.raises(NotFound):
        usecases.get_timeline(archive, placed.subject, customer_id=placed.data["customer_id"])
    receive(archive, placed)
    timeline = usecases.get_timeline(archive, placed.subject, customer_id=placed.data["customer_id"])
    assert [step.entry.type for step in timeline.steps] == ["order.placed.v1", "order.confirmed.v1"]


@pytest.mark.parametrize("data", [{}, {"customer_id": 7}, {"customer_id": "x" * 100}, {"customer_id": None}])
def test_an_order_without_a_customer_is_visible_only_to_operators(archive: Archive, data: dict[str, Any]) -> None:
    placed = sample("order.placed.v1", data=data)
    assert receive(archive, placed)
    assert not receive(archive, placed)
    assert len(usecases.get_timeline(archive, placed.subject, customer_id=None).steps) == 1
    for customer_id in ("7", "None", "x" * 100):
        with pytest.raises(NotFound):
            usecases.get_timeline(archive, placed.subject, customer_id=customer_id)


def test_a_batch_is_stored_once_with_its_duplicates(archive: Archive) -> None:
    events = [from_document(json.loads(path.read_text())) for path in SAMPLES.glob("*.json")]
    assert receive(archive, events[0])
    log = EventLog(archive)
    deliveries = [Delivery("archive", event) for event in [*events, events[-1]]]
    assert file_events(log, deliveries) == [False] + [True] * (len(events) - 1) + [False]
    assert file_events(log, deliveries) == [False] * len(deliveries)
    assert {document["_id"] for document in archive["events"].find()} == {event.id for event in events}
    positions = sorted(document["position"] for document in archive["events"].find())
    assert positions == list(range(1, len(events) + 1))


def test_an_event_with_a_reused_id_fails_in_its_batch_and_alone(archive: Archive) -> None:
    first, other = sample("order.placed.v1"), sample("order.confirmed.v1")
    assert receive(archive, first)
    taken = replace(other, id=first.id)
    with pytest.raises(usecases.EventIdReusedError):
        file_events(EventLog(archive), [Delivery("archive", taken), Delivery("archive", other)])
    with pytest.raises(usecases.EventIdReusedError):
        receive(archive, taken)
    with pytest.raises(AlreadyHandled):  # it was stored with the batch, so alone it is a duplicate
        HANDLERS[topology.EVERYTHING](Delivery("archive", other), EventLog(archive))
