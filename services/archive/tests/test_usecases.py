"""Events are stored and queried on a real MongoDB."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import NotFound, Rejected, classify
from common.messaging.events import new_id
from common.messaging.inbox import AlreadyHandled, Delivery
from common.web.pagination import Page
from services.archive import usecases
from services.archive.domain import Filter
from services.archive.event_log import EventLog
from services.archive.tests.event_samples import CUSTOMER, at, file, happening, placed

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.integration
ANY = Filter()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def only(archive: Database[dict[str, Any]], criteria: Filter = ANY) -> Any:
    [entry] = usecases.list_events(archive, criteria, Page())
    return entry


def ids(archive: Database[dict[str, Any]], criteria: Filter = ANY, page: Page | None = None) -> list[str]:
    return [entry.id for entry in usecases.list_events(archive, criteria, page or Page(limit=100))]


def test_an_event_is_stored_once_by_concurrent_workers(archive: Database[dict[str, Any]]) -> None:
    event = happening()
    with ThreadPoolExecutor(10) as threads:
        filed = list(threads.map(lambda _: file(archive, event), range(30)))
    assert sum(filed) == 1
    assert ids(archive) == [event.id]


def test_an_event_is_stored_as_published_with_its_arrival_time(archive: Database[dict[str, Any]]) -> None:
    event = happening(causationid="cause", orderid="order", traceparent="trace", data={"a": [1, {"b": None}]})
    assert file(archive, event) == 1
    first = only(archive)
    names = ("id", "source", "type", "subject", "time", "sequence", "correlationid", "causationid", "orderid")
    assert all(getattr(first, name) == getattr(event, name) for name in (*names, "traceparent", "data"))
    assert file(archive, event) == 0
    assert only(archive).received_at == first.received_at


@pytest.mark.parametrize(
    "data",
    [
        {"$set": {"$where": 1}, "a.b": {".": 1, "$": 2}, "": 0},
        {"large": 2**63, "larger": -(10**40), "exact": 2**53 + 1},
        {"nul": "\x00", "half": "\ud800", "key\x00": 1, "\udfff": 2},
        {"tiny": 5e-324, "minus": -0.0, "whole": 1.0, "int": 1},
        {"_id": 1, "customer_id": "mine", "at": "now"},
        {"text": "x" * 250_000},
    ],
    ids=["names", "numbers", "texts", "floats", "our own names", "long"],
)
def test_unusual_data_is_returned_unchanged(archive: Database[dict[str, Any]], data: dict[str, Any]) -> None:
    file(archive, happening(data=data))
    found = only(archive)
    assert repr(found.data) == repr(data)
    assert found.subject == "thing-1"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.dictionaries(st.text(), JSON, max_size=5))
def test_any_data_is_returned_unchanged(archive: Database[dict[str, Any]], data: dict[str, Any]) -> None:
    event = happening(data=data, subject=new_id())
    file(archive, event)
    assert repr(only(archive, Filter(subject=event.subject)).data) == repr(data)


def test_a_different_event_with_a_known_id_is_rejected(archive: Database[dict[str, Any]]) -> None:
    event = happening()
    file(archive, event)
    for change in ({"source": "/services/other"}, {"subject": "thing-2"}, {"sequence": 2}, {"type": "a.b.v1"}):
        other = happening(id=event.id, **change)
        with pytest.raises(usecases.EventIdReusedError) as caught:
            usecases.file_event(EventLog(archive), Delivery("archive", other), customer_id=None)
        assert classify(caught.value) is Rejected
    described_again = happening(id=event.id, time=at(1), data={"error": "worded in another way"})
    with pytest.raises(AlreadyHandled):
        usecases.file_event(EventLog(archive), Delivery("archive", described_again), customer_id=None)
    assert only(archive).data == event.data


def test_a_timeline_is_independent_of_the_order_of_arrival(archive: Database[dict[str, Any]]) -> None:
    order_id = new_id()
    events = [placed(order_id), *(happening(orderid=order_id, sequence=n, time=at(n / 4)) for n in range(1, 6))]
    for event in random.sample(events, len(events)):
        file(archive, event)
        file(archive, event)
    file(archive, placed(new_id()))
    timeline = usecases.get_timeline(archive, order_id, customer_id=CUSTOMER)
    assert [step.entry.id for step in timeline.steps] == [event.id for event in events]
    assert [step.delay_seconds for step in timeline.steps] == [0.0] + [0.25] * 5
    assert timeline.has_more is False


def test_times_in_different_zones_are_compared_as_instants(archive: Database[dict[str, Any]]) -> None:
    order_id = new_id()
    later = happening(orderid=order_id, time="2026-11-02T09:00:00.5+02:00")
    earlier = happening(orderid=order_id, time="2026-11-02T07:00:00Z")
    file(archive, later, earlier)
    steps = usecases.get_timeline(archive, order_id, customer_id=None).steps
    assert [step.entry.time for step in steps] == [earlier.time, later.time]
    assert steps[1].delay_seconds == 0.5


def test_a_customer_sees_an_order_once_its_owner_is_known(archive: Database[dict[str, Any]]) -> None:
    order_id = new_id()
    confirmed = happening(orderid=order_id, data={"customer_id": CUSTOMER})
    file(archive, confirmed)
    with pytest.raises(NotFound):
        usecases.get_timeline(archive, order_id, customer_id=CUSTOMER)
    assert len(usecases.get_timeline(archive, order_id, customer_id=None).steps) == 1
    file(archive, placed(order_id))
    assert len(usecases.get_timeline(archive, order_id, customer_id=CUSTOMER).steps) == 2
    with pytest.raises(NotFound):
        usecases.get_timeline(archive, order_id, customer_id=new_id())


def test_an_unknown_order_raises_not_found(archive: Database[dict[str, Any]]) -> None:
    with pytest.raises(NotFound):
        usecases.get_timeline(archive, new_id(), customer_id=None)


def test_a_long_timeline_is_truncated_and_reports_has_more(
    archive: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usecases, "MAX_TIMELINE", 3)
    order_id = new_id()
    file(archive, placed(order_id), *(happening(orderid=order_id, time=at(n)) for n in (1, 2)))
    assert usecases.get_timeline(archive, order_id, customer_id=None).has_more is False
    file(archive, happening(orderid=order_id, time=at(3)))
    timeline = usecases.get_timeline(archive, order_id, customer_id=None)
    assert (len(timeline.steps), timeline.has_more) == (3, True)


def test_pages_contain_each_event_once_newest_first(archive: Database[dict[str, Any]]) -> None:
    # Some have equal times: these are sorted by id.
    events = [happening(time=at(number // 3)) for number in range(20)]
    file(archive, *random.sample(events, 20))
    seen: list[str] = []
    while found := ids(archive, page=Page(limit=6, starting_after=seen[-1] if seen else None))[:6]:
        seen += found
    assert seen == [event.id for event in reversed(events)]


def test_filters_limit_the_list(archive: Database[dict[str, Any]]) -> None:
    first = happening(subject="sku-1", type="stock.adjusted.v1", source="/services/inventory", time=at(1))
    second = happening(subject="sku-1", type="product.changed.v1", source="/services/inventory", time=at(2))
    third = happening(subject="sku-2", time=at(3))
    file(archive, first, second, third)
    assert ids(archive, Filter(subject="sku-1")) == [second.id, first.id]
    assert ids(archive, Filter(type="stock.adjusted.v1")) == [first.id]
    assert ids(archive, Filter(source="/services/orders")) == [third.id]
    assert ids(archive, Filter(since=at(2))) == [third.id, second.id]
    assert ids(archive, Filter(subject="sku-1", since=at(2))) == [second.id]
    assert ids(archive, Filter(since=at(1)), Page(starting_after=third.id)) == [second.id, first.id]
    assert ids(archive, Filter(subject="sku-1"), Page(starting_after=second.id)) == [first.id]


def test_an_unknown_cursor_is_rejected(archive: Database[dict[str, Any]]) -> None:
    with pytest.raises(Rejected) as caught:
        ids(archive, page=Page(starting_after=new_id()))
    assert caught.value.errors == {"starting_after": ["No such event."]}


@pytest.mark.parametrize(
    "criteria",
    [ANY, Filter(subject="s"), Filter(type="t"), Filter(source="o"), Filter(since=at(0))],
    ids=["all", "subject", "type", "source", "since"],
)
def test_every_list_is_read_from_an_index_without_sorting(archive: Database[dict[str, Any]], criteria: Filter) -> None:
    file(archive, *(happening(time=at(number)) for number in range(30)))
    archive.command("profile", 2)
    cursor = only(archive, Filter(since=at(29))).id
    ids(archive, criteria, Page(limit=5, starting_after=cursor))
    [operation] = archive["system.profile"].find({"op": "query", "command.limit": 6})
    plan = operation["planSummary"]
    assert "IXSCAN" in plan
    assert "'SORT'" not in plan
