"""Streams of a real process: visibility, order, and errors of bad requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from common.messaging.events import Event, new_id, utc_now
from common.security.tokens import LEEWAY_SECONDS
from common.tests.sample_service import bearer
from services.archive import models
from services.archive.tests.event_samples import CUSTOMER, happening, placed
from services.live.tests.conftest import SECONDS, Live, OneOrder, Reading, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.archive.event_log import EventLog

pytestmark = pytest.mark.integration
MINE = bearer(sub=CUSTOMER)
OPERATOR = bearer(role="operator")
ALL = "/api/v1/orders/events"


def of(order_id: str) -> str:
    return f"/api/v1/orders/{order_id}/events"


def archive(log: EventLog, *events: Event) -> None:
    for event in events:
        customer_id = event.data["customer_id"] if event.type == "order.placed.v1" else None
        assert log.append(models.event_document(event, customer_id=customer_id, received_at=utc_now()))


def ids(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["data"]["id"] for frame in frames]


def test_an_order_stream_starts_with_past_events_and_continues_live(start: Callable[..., Live], log: EventLog) -> None:
    order = new_id()
    first, second, other, third = (
        placed(order), happening(orderid=order, sequence=2), placed(new_id()), happening(orderid=order, sequence=3),
    )  # fmt: skip
    archive(log, first, second)
    with reading(start(), of(order), MINE) as stream:
        assert ids(stream.take(2)) == [first.id, second.id]
        archive(log, other, third)
        [frame] = stream.take(1)
    assert frame["id"] == "4"
    assert {name: frame["data"][name] for name in ("id", "type", "sequence", "orderid", "data")} == {
        "id": third.id,
        "type": third.type,
        "sequence": 3,
        "orderid": order,
        "data": {},
    }


def test_a_customer_streams_only_their_own_orders(start: Callable[..., Live], log: EventLog) -> None:
    archive(log, placed(new_id()))
    order, foreign = new_id(), new_id()
    of_other_customer = placed(foreign)
    of_other_customer.data["customer_id"] = "somebody-else"
    events = [placed(order), happening(orderid=order), placed(new_id())]
    with reading(start(), ALL, MINE) as stream:
        archive(log, of_other_customer, events[0], happening(orderid=foreign), happening(), *events[1:])
        assert ids(stream.take(3)) == [event.id for event in events]


def test_events_archived_before_their_order_follow_it_live_and_when_resumed(
    start: Callable[..., Live], log: EventLog
) -> None:
    order, live = new_id(), start()
    events = [happening(orderid=order, sequence=1), happening(orderid=order, sequence=2), placed(order)]
    last = happening(orderid=order, sequence=3)
    expected = [(events[2].id, "3"), (events[0].id, "3.1"), (events[1].id, "3.2"), (last.id, "4")]
    with reading(live, ALL, MINE) as stream:
        archive(log, *events, last)
        assert [(frame["data"]["id"], frame["id"]) for frame in stream.take(4)] == expected
    for count, (_, after) in enumerate([("", "0"), *expected[:-1]]):
        with reading(live, ALL, MINE, last_id=after) as stream:
            frames = stream.take(4 - count)
            assert [(frame["data"]["id"], frame["id"]) for frame in frames] == expected[count:]


def test_an_operator_streams_all_orders(start: Callable[..., Live], log: EventLog) -> None:
    order = new_id()
    events = [happening(orderid=order), placed(order), placed(new_id())]
    with reading(start(), ALL, OPERATOR) as stream:
        archive(log, events[0], happening(), *events[1:])
        assert ids(stream.take(3)) == [event.id for event in events]


def test_a_cursor_of_another_stream_is_accepted(start: Callable[..., Live], log: EventLog) -> None:
    order = new_id()
    archive(log, placed(order), placed(new_id()), happening(orderid=order))
    with reading(start(), of(order), MINE, last_id="2") as stream:
        assert [frame["id"] for frame in stream.take(1)] == ["3"]


@pytest.mark.parametrize(
    ("last_id", "code"),
    [
        ("nonsense", "invalid_last_event_id"),
        ("-1", "invalid_last_event_id"),
        ("1.x", "invalid_last_event_id"),
        ("9" * 40, "invalid_last_event_id"),
        ("2", "unknown_last_event_id"),
    ],
)
def test_an_invalid_last_event_id_is_rejected(one_order: OneOrder, last_id: str, code: str) -> None:
    reply = requests.get(one_order.live.url + ALL, headers=MINE | {"Last-Event-ID": last_id}, timeout=SECONDS)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


def test_an_order_of_another_customer_is_404(one_order: OneOrder) -> None:
    order, live = one_order.order_id, one_order.live

    def ask(path: str, headers: dict[str, str]) -> tuple[int, str]:
        reply = requests.get(live.url + path, headers=headers | {"Request-Id": "mine"}, timeout=SECONDS)
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.headers["Request-Id"] == reply.json()["request_id"] == "mine"
        return reply.status_code, reply.json()["code"]

    assert ask(of(order), bearer(sub="somebody-else")) == (404, "not_found")
    assert ask(of(new_id()), OPERATOR) == (404, "not_found")
    assert ask(of("nonsense"), OPERATOR) == (404, "not_found")
    assert ask(of(order), {}) == (401, "unauthenticated")
    assert ask(of(order), {"Authorization": "Bearer x"}) == (401, "invalid_token")
    assert ask("/api/v1/nothing", MINE) == (404, "not_found")
    reply = requests.post(live.url + ALL, headers=MINE, timeout=SECONDS)
    assert (reply.status_code, reply.headers["Allow"]) == (405, "GET, OPTIONS")
    assert requests.options(live.url + ALL, timeout=SECONDS).status_code == 204


def test_a_stream_ends_when_its_token_expires(one_order: OneOrder) -> None:
    frames: list[dict[str, Any]] = []
    for seconds in (2, 15, 60):  # one that a stall lets expire before it is read is followed by one that lives longer
        short = bearer(sub=CUSTOMER, exp=int(time.time()) - LEEWAY_SECONDS + seconds)
        with requests.get(one_order.live.url + ALL, headers=short, stream=True, timeout=SECONDS + seconds) as reply:
            if reply.status_code != 401:
                assert reply.status_code == 200, reply.text
                frames = list(Reading(reply))
                break
    assert [(frame["event"], frame["data"]) for frame in frames] == [("end", {"reason": "token_expired"})]


def test_an_idle_stream_sends_heartbeats_with_its_position(start: Callable[..., Live], log: EventLog) -> None:
    order = new_id()
    archive(log, placed(order))
    with reading(start(LIVE_HEARTBEAT_SECONDS=0.2), of(order), MINE) as stream:
        stream.take(1)
        archive(log, placed(new_id()), placed(new_id()))
        for line in stream.lines:
            if line == "id: 3":
                break


def test_streams_are_limited_per_caller_and_per_process(start: Callable[..., Live], log: EventLog) -> None:
    live = start(LIVE_STREAMS=3, LIVE_STREAMS_PER_CALLER=2)

    def refused(headers: dict[str, str]) -> tuple[int, str]:
        reply = requests.get(live.url + ALL, headers=headers, timeout=SECONDS)
        assert int(reply.headers["Retry-After"]) >= 1
        return reply.status_code, reply.json()["code"]

    with reading(live, ALL, MINE), reading(live, ALL, MINE):
        assert refused(MINE) == (429, "too_many_streams")
        with reading(live, ALL, OPERATOR):
            assert refused(bearer(sub="third")) == (503, "too_many_streams")
    deadline = time.monotonic() + SECONDS
    while requests.get(f"{live.url}/metrics", timeout=SECONDS).text.find("holdfast_live_streams 0.0") < 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with reading(live, ALL, MINE):
        pass
