"""Twenty endpoints, five of them dead, slow, flapping, gone and redirecting: every delivery is made or listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging import topology
from common.tests.publishing import publish_events
from common.tests.webhook_receiver import Received, Reply
from services.notifications import models
from services.notifications.domain import Reason, Status
from services.notifications.subscriptions import ALWAYS_BOUND
from services.notifications.tests.builders import deliveries_of, make_endpoint, sample
from workers.notifications.tests.test_main import eventually, is_subscribed, worker

if TYPE_CHECKING:
    from pathlib import Path

    from pymongo.database import Database

    from common.tests.webhook_receiver import Receiver

    Store = Database[dict[str, Any]]

pytestmark = [pytest.mark.integration, pytest.mark.slow]
HEALTHY, EVENTS = 15, 10
# Three attempts, then the delivery is listed as failed; the last one is so late that a healthy receiver that has paused
# answers again. The breaker does not open, because it would outlast the test.
IMPATIENT = {
    "WEBHOOK_RETRY_SECONDS": "0,0.5,25",
    "WEBHOOK_TIMEOUT_SECONDS": "1",
    "CIRCUIT_BREAKER_MAX_FAILURES": "1000",
    "MONGODB_TIMEOUT_SECONDS": "30",
}


class Flapping:
    """Fails the first delivery of each event."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, request: Received) -> Reply:
        webhook_id = request.headers["webhook-id"]
        is_new = webhook_id not in self.seen
        self.seen.add(webhook_id)
        return Reply(500 if is_new else 200)


def test_every_delivery_is_made_or_listed_with_failing_endpoints(
    vhost: str, document_store: str, store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    topology.declare(vhost, {"notifications": ALWAYS_BOUND})
    healthy = {f"/{number}": make_endpoint(store, f"{receiver.url}/{number}") for number in range(HEALTHY)}
    receiver.replies |= {
        "/slow": Reply(200, delay_seconds=3.0),
        "/flapping": Flapping(),
        "/gone": Reply(410),
        "/redirecting": Reply(302, {"location": f"{receiver.url}/elsewhere"}),
    }
    dead, _ = make_endpoint(store, "http://127.0.0.1:1/")
    slow, flapping, gone, redirecting = (
        make_endpoint(store, f"{receiver.url}/{name}") for name in ("slow", "flapping", "gone", "redirecting")
    )
    everybody = [endpoint_id for endpoint_id, _ in healthy.values()] + [
        dead,
        *(each[0] for each in (slow, flapping, gone, redirecting)),
    ]
    with worker(vhost, document_store, log, **IMPATIENT), worker(vhost, document_store, log, **IMPATIENT):
        eventually(lambda: all(is_subscribed(store, each) for each in everybody), log)
        events = [sample("order.placed.v1") for _ in range(EVENTS)]
        publish_events(vhost, *events)
        pending = {"status": Status.PENDING}
        eventually(lambda: store["deliveries"].count_documents({}) == EVENTS * len(everybody), log)
        eventually(lambda: store["deliveries"].count_documents(pending) == 0, log)
    ids = {event.id for event in events}
    for path, (endpoint_id, secret) in healthy.items():
        assert {each.verified(secret)["id"] for each in receiver.at(path)} == ids
        assert {each["status"] for each in deliveries_of(store, endpoint_id)} == {Status.DELIVERED}
    assert {each["status"] for each in deliveries_of(store, flapping[0])} == {Status.DELIVERED}
    assert all(each.verified(flapping[1]) for each in receiver.at("/flapping"))
    for endpoint_id in (dead, slow[0], redirecting[0]):
        listed = {(each["status"], each["reason"]) for each in deliveries_of(store, endpoint_id)}
        assert listed == {(Status.FAILED, Reason.ATTEMPTS_EXHAUSTED)}
    assert {each["status"] for each in deliveries_of(store, gone[0])} == {Status.FAILED}
    statuses = [entry["status_code"] for each in deliveries_of(store, gone[0]) for entry in each["history"]]
    assert statuses.count(410) == 1, "it is not asked again"
    assert receiver.at("/elsewhere") == []
    found = models.get(store, gone[0])
    assert found is not None
    assert found["disabled_reason"] == Reason.GONE
