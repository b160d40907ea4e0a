"""Turns at endpoints that succeed, fail, are slow, gone or down: a real receiver, verified by the public library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import WebhookVerificationError

from common.messaging.events import utc_now
from common.tests.webhook_receiver import Reply
from services.notifications import dispatching, models, resending, usecases
from services.notifications.domain import Reason, Status
from services.notifications.tests.builders import OPERATOR, RULES, deliveries_of, make_endpoint, record, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from common.tests.webhook_receiver import Receiver
    from services.notifications.dispatching import Dispatcher

    Store = Database[dict[str, Any]]
    Make = Callable[..., Dispatcher]

pytestmark = pytest.mark.integration


def run(dispatcher: Dispatcher) -> int:
    """Take all turns that are due; returns the number of attempts."""
    made = 0
    for is_suspect in (False, True, False, True):
        while (endpoint := dispatcher.claim(is_suspect=is_suspect)) is not None:
            made += dispatcher.take_turn(endpoint)
    return made


def make_due(store: Store) -> None:
    """Let time pass: waiting deliveries are due, and breakers admit an attempt."""
    now = utc_now()
    store["deliveries"].update_many({"status": Status.PENDING}, {"$set": {"due_at": now}})
    store["endpoints"].update_many({}, {"$set": {"next_due_at": now, "open_until": None}})


def test_a_delivery_is_signed_and_recorded(store: Store, receiver: Receiver, make_dispatcher: Make) -> None:
    endpoint_id, secret = make_endpoint(store, f"{receiver.url}/a")
    event = sample("order.placed.v1")
    record(store, event)
    assert run(make_dispatcher()) == 1
    (request,) = receiver.at("/a")
    payload = request.verified(secret)
    assert (payload["type"], payload["sequence"]) == (event.type, event.sequence)
    assert request.headers["webhook-id"] == event.id
    (delivery,) = deliveries_of(store, endpoint_id)
    assert (delivery["status"], delivery["attempts_total"]) == (Status.DELIVERED, 1)
    assert delivery["expires_at"] > utc_now()
    assert [(each["status_code"], each["answer"]) for each in delivery["history"]] == [(200, "ok")]
    assert run(make_dispatcher()) == 0


def test_both_secrets_verify_during_a_rotation_and_then_only_the_new_one(
    store: Store, receiver: Receiver, make_dispatcher: Make
) -> None:
    endpoint_id, old = make_endpoint(store, f"{receiver.url}/a")
    _, new = usecases.rotate_secret(store, RULES, OPERATOR, endpoint_id, keep_seconds=3600)
    record(store, sample("order.placed.v1"))
    run(make_dispatcher())
    assert receiver.at("/a")[0].verified(old)
    assert receiver.at("/a")[0].verified(new)
    past = utc_now() - timedelta(seconds=1)
    store["endpoints"].update_one({"_id": endpoint_id}, {"$set": {"previous_secrets.0.until": past}})
    record(store, sample("order.placed.v1"))
    run(make_dispatcher())
    assert receiver.at("/a")[1].verified(new)
    with pytest.raises(WebhookVerificationError):
        receiver.at("/a")[1].verified(old)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500])
def test_a_delivery_without_a_2xx_response_is_retried_by_schedule(
    store: Store, receiver: Receiver, make_dispatcher: Make, status: int
) -> None:
    endpoint_id, _ = make_endpoint(store, f"{receiver.url}/a")
    receiver.replies["/a"] = Reply(status, {"location": f"{receiver.url}/b"})
    record(store, sample("order.placed.v1"))
    schedule = (0.0, 600.0, 600.0)  # longer than the default: nothing is due by itself in the course of this test
    assert run(make_dispatcher(retry_seconds=schedule)) == 1
    assert receiver.at("/b") == []
    (delivery,) = deliveries_of(store, endpoint_id)
    wait = (delivery["due_at"] - delivery["history"][0]["at"]).total_seconds()
    assert delivery["status"] == Status.PENDING
    assert wait >= schedule[1]
    assert run(make_dispatcher()) == 0
    make_due(store)
    receiver.replies.clear()
    assert run(make_dispatcher()) == 1
    assert deliveries_of(store, endpoint_id)[0]["status"] == Status.DELIVERED


def test_a_delivery_is_failed_after_its_last_retry_and_can_be_resent(
    store: Store, receiver: Receiver, make_dispatcher: Make
) -> None:
    endpoint_id, _ = make_endpoint(store, f"{receiver.url}/a")
    receiver.replies["/a"] = Reply(500)
    record(store, sample("order.placed.v1"))
    dispatcher = make_dispatcher(retry_seconds=(0.0, 1.0, 1.0))
    for _ in range(4):
        run(dispatcher)
        make_due(store)
    (delivery,) = deliveries_of(store, endpoint_id)
    assert (delivery["status"], delivery["reason"]) == (Status.FAILED, Reason.ATTEMPTS_EXHAUSTED)
    assert len(receiver.at("/a")) == delivery["attempts_total"] == 3
    assert "expires_at" not in delivery
    receiver.replies.clear()
    resending.resend_delivery(store, OPERATOR, delivery["_id"])
    assert run(dispatcher) == 1
    assert deliveries_of(store, endpoint_id)[0]["status"] == Status.DELIVERED


def test_a_410_response_disables_the_endpoint_and_fails_waiting_deliveries(
    store: Store, receiver: Receiver, make_dispatcher: Make
) -> None:
    endpoint_id, _ = make_endpoint(store, f"{receiver.url}/a")
    receiver.replies["/a"] = Reply(410)
    for _ in range(3):
        record(store, sample("order.placed.v1"))
    run(make_dispatcher())
    endpoint = models.get(store, endpoint_id)
    assert endpoint is not None
    assert (endpoint["enabled"], endpoint["disabled_reason"]) == (False, Reason.GONE)
    assert [each["status"] for each in deliveries_of(store, endpoint_id)] == [Status.FAILED] * 3
    assert len(receiver.at("/a")) == 1
    usecases.change_endpoint(store, RULES, OPERATOR, endpoint_id, {"enabled": True})
    receiver.replies.clear()
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert resending.resend_failed(store, OPERATOR, endpoint_id, since=since, event_type=None) == 3
    assert run(make_dispatcher()) == 3


def test_days_of_failure_disable_the_endpoint(store: Store, receiver: Receiver, make_dispatcher: Make) -> None:
    endpoint_id, _ = make_endpoint(store, "http://127.0.0.1:1/")
    record(store, sample("order.placed.v1"))
    dispatcher = make_dispatcher()
    run(dispatcher)
    days_ago = utc_now() - timedelta(days=6)
    store["endpoints"].update_one({"_id": endpoint_id}, {"$set": {"failing_since": days_ago}})
    make_due(store)
    run(dispatcher)
    endpoint = models.get(store, endpoint_id)
    assert endpoint is not None
    assert endpoint["disabled_reason"] == Reason.FAILING
    assert deliveries_of(store, endpoint_id)[0]["reason"] == Reason.FAILING


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_delays_the_whole_endpoint(
    store: Store, receiver: Receiver, make_dispatcher: Make, kind: str
) -> None:
    endpoint_id, _ = make_endpoint(store, f"{receiver.url}/a")
    moment = utc_now() + timedelta(seconds=600)
    retry_after = "600" if kind == "seconds" else format_datetime(moment.replace(microsecond=0), usegmt=True)
    receiver.replies["/a"] = Reply(503, {"retry-after": retry_after})
    record(store, sample("order.placed.v1"))
    dispatcher = make_dispatcher()
    run(dispatcher)
    record(store, sample("order.placed.v1"))
    assert run(dispatcher) == 0
    first, second = deliveries_of(store, endpoint_id)
    assert first["due_at"] > utc_now() + timedelta(seconds=300)
    assert second["attempts_total"] == 0, "an attempt that was not made is not counted"


def test_a_failing_endpoint_is_retried_with_backoff(store: Store, receiver: Receiver, make_dispatcher: Make) -> None:
    make_endpoint(store, f"{receiver.url}/a")
    receiver.replies["/a"] = Reply(500)
    for _ in range(20):
        record(store, sample("order.placed.v1"))
    assert run(make_dispatcher(max_failures=5, breaker_seconds=600.0)) == 5
    assert len(receiver.at("/a")) == 5


def test_an_endpoint_has_one_turn_at_a_time(
    store: Store, receiver: Receiver, make_dispatcher: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "TURN_SECONDS", 600.0)  # a slow answer does not end it
    make_endpoint(store, f"{receiver.url}/a")
    record(store, sample("order.placed.v1"))
    dispatcher = make_dispatcher()
    claimed = dispatcher.claim(is_suspect=False)
    assert claimed is not None
    record(store, sample("order.placed.v1"))
    assert dispatcher.claim(is_suspect=False) is None
    assert dispatcher.take_turn(claimed) == 2
    record(store, sample("order.placed.v1"))
    assert run(dispatcher) == 1


def test_a_delivery_recorded_while_a_turn_ends_is_due_afterwards(store: Store, make_dispatcher: Make) -> None:
    endpoint_id, _ = make_endpoint(store, "http://127.0.0.1:1/")
    record(store, sample("order.placed.v1"))
    claimed = make_dispatcher().claim(is_suspect=False)
    assert claimed is not None
    models.wake(store, [endpoint_id], now=utc_now())
    models.end_turn(store, claimed, next_due_at=None)
    assert make_dispatcher().claim(is_suspect=False) is not None


def test_the_turn_of_a_dead_worker_is_claimed_again(store: Store, receiver: Receiver, make_dispatcher: Make) -> None:
    make_endpoint(store, f"{receiver.url}/a")
    record(store, sample("order.placed.v1"))
    dispatcher = make_dispatcher()
    assert dispatcher.claim(is_suspect=False) is not None
    assert run(dispatcher) == 0
    past = utc_now() - timedelta(seconds=1)
    store["endpoints"].update_one({}, {"$set": {"leased_until": past, "next_due_at": past}})
    assert run(dispatcher) == 1


def test_the_longest_waiting_endpoint_is_next(store: Store, make_dispatcher: Make) -> None:
    names = [make_endpoint(store, "http://127.0.0.1:1/")[0] for _ in range(3)]
    for place, endpoint_id in enumerate(reversed(names)):
        due = utc_now() - timedelta(seconds=60 - place)
        store["endpoints"].update_one({"_id": endpoint_id}, {"$set": {"next_due_at": due}})
    dispatcher = make_dispatcher()
    assert dispatcher.overdue_seconds() > 50
    claimed = [dispatcher.claim(is_suspect=False) for _ in range(3)]
    assert [each["_id"] for each in claimed if each] == names[::-1]


def test_an_address_that_is_no_longer_allowed_fails_the_attempt(store: Store, make_dispatcher: Make) -> None:
    endpoint_id, _ = make_endpoint(store, "http://127.0.0.1:1/")
    store["endpoints"].update_one({"_id": endpoint_id}, {"$set": {"url": "http://10.0.0.1/"}})
    record(store, sample("order.placed.v1"))
    run(make_dispatcher())
    (delivery,) = deliveries_of(store, endpoint_id)
    assert "not a public address" in delivery["history"][0]["error"]


def test_a_binary_response_is_stored_as_truncated_text(store: Store, receiver: Receiver, make_dispatcher: Make) -> None:
    endpoint_id, _ = make_endpoint(store, f"{receiver.url}/a")
    receiver.replies["/a"] = Reply(200, {"retry-after": "Fri, 99 Foo"}, b"\xff\x00" * 10, chunks=1_000_000)
    record(store, sample("order.placed.v1"))
    run(make_dispatcher())
    (delivery,) = deliveries_of(store, endpoint_id)
    assert delivery["status"] == Status.DELIVERED
    assert len(delivery["history"][0]["answer"]) <= 1000
