"""Turns in threads: failing endpoints do not affect others, and running turns are finished at shutdown."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY
from pymongo.errors import AutoReconnect

from common.messaging.events import utc_now
from common.tests.webhook_receiver import Reply
from services.notifications import deliveries
from services.notifications.domain import Status
from services.notifications.models import LONG_AGO, NEVER
from services.notifications.tests.builders import deliveries_of, make_endpoint, record, sample
from workers.notifications.sending import sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from common.tests.webhook_receiver import Receiver
    from services.notifications.dispatching import Dispatcher

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
SECONDS = 60.0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_due_deliveries_are_sent_once_by_several_senders(
    store: Store, receiver: Receiver, make_dispatcher: Callable[..., Dispatcher]
) -> None:
    endpoints = [make_endpoint(store, f"{receiver.url}/{number}") for number in range(4)]
    events = [sample("order.placed.v1") for _ in range(25)]
    with sending(make_dispatcher(SECONDS), threads=4) as first, sending(make_dispatcher(SECONDS), threads=4):
        for event in events:
            record(store, event)
        first.wake()
        for number, (_, secret) in enumerate(endpoints):
            found = receiver.wait_for(len(events), f"/{number}", SECONDS)
            assert {each.headers["webhook-id"] for each in found} == {event.id for event in events}
            assert all(each.verified(secret) for each in found)
    assert len(receiver.requests) == 100, "sent twice although nobody failed"
    assert store["deliveries"].count_documents({"status": Status.DELIVERED}) == 100


def test_dead_and_slow_endpoints_do_not_delay_others(
    store: Store, receiver: Receiver, make_dispatcher: Callable[..., Dispatcher]
) -> None:
    """There are more failing endpoints than threads: with shared threads nothing would be sent for minutes."""
    for number in range(8):
        receiver.replies[f"/slow{number}"] = Reply(200, delay_seconds=SECONDS)
        make_endpoint(store, f"{receiver.url}/slow{number}")
    with sending(make_dispatcher(seconds=2.0), threads=4) as sender:
        record(store, sample("order.placed.v1"))
        sender.wake()
        eventually(lambda: store["endpoints"].count_documents({"is_suspect": True}) == 8)
        _, secret = make_endpoint(store, f"{receiver.url}/healthy")
        for _ in range(20):
            record(store, sample("order.placed.v1"))
        sender.wake()
        found = receiver.wait_for(20, "/healthy", SECONDS)
        assert all(each.verified(secret) for each in found)
        eventually(lambda: store["deliveries"].count_documents({"status": Status.PENDING}) == 8 * 21)


def test_running_turns_are_finished_and_recorded_at_shutdown(
    store: Store, receiver: Receiver, make_dispatcher: Callable[..., Dispatcher]
) -> None:
    receiver.replies["/a"] = Reply(200, delay_seconds=1.0)
    make_endpoint(store, f"{receiver.url}/a")
    with sending(make_dispatcher(SECONDS), threads=2) as sender:
        record(store, sample("order.placed.v1"))
        sender.wake()
        receiver.wait_for(1, "/a", SECONDS)
    assert store["deliveries"].count_documents({"status": Status.DELIVERED}) == 1
    assert store["endpoints"].count_documents({"lease_id": {"$exists": True}, "leased_until": {"$gt": LONG_AGO}}) == 0


def test_overdue_deliveries_are_measured(
    store: Store, make_dispatcher: Callable[..., Dispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker claimed the turn and died; this one measures the delay."""
    monkeypatch.setattr("workers.notifications.sending.MEASURE_SECONDS", 0.1)
    make_endpoint(store, "http://127.0.0.1:1/")
    past = utc_now() - timedelta(seconds=600)
    store["endpoints"].update_one({}, {"$set": {"next_due_at": past, "leased_until": NEVER}})
    with sending(make_dispatcher(), threads=2):
        eventually(lambda: (REGISTRY.get_sample_value("holdfast_webhook_turn_overdue_seconds") or 0) > 500)


def test_a_turn_interrupted_by_an_outage_is_claimed_again_at_once(
    store: Store, receiver: Receiver, make_dispatcher: Callable[..., Dispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for the lease to expire."""
    failures = [AutoReconnect("away"), AutoReconnect("away")]
    record_attempt = deliveries.record

    def record_or_fail(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return record_attempt(*args)

    monkeypatch.setattr(deliveries, "record", record_or_fail)
    monkeypatch.setattr("services.notifications.dispatching.LEASE_SECONDS", 3600.0)
    endpoint_id, _ = make_endpoint(store, f"{receiver.url}/a")
    record(store, sample("order.placed.v1"))
    with sending(make_dispatcher(SECONDS), threads=2):
        eventually(lambda: [each["status"] for each in deliveries_of(store, endpoint_id)] == [Status.DELIVERED])
    assert len(receiver.at("/a")) == 3
