"""The envelope: what is an event, and what is refused with a reason."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.errors import Rejected, classify
from common.messaging.events import (
    MAX_DEPTH,
    Contract,
    Event,
    InvalidEventError,
    MessageContext,
    from_document,
    from_json,
    new_id,
    read,
    rfc3339,
    utc_now,
)
from common.schemas import Integer, StrictSchema, TolerantSchema

TEXT = st.text(min_size=1, max_size=20).filter(lambda text: "\x00" not in text and text.isprintable())
YEARS = datetime(2, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001 - Hypothesis adds the zones; the first and last have no UTC
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "01928f6e-8014-7d10-8a11-0c2d3e4f5014",
    "source": "/services/orders",
    "type": "order.placed.v1",
    "subject": "order-1",
    "time": "2026-11-02T09:15:11.300000Z",
    "sequence": 1,
    "correlationid": "request-1",
    "data": {"total": 1},
}


def test_an_event_is_read() -> None:
    event = from_json(json.dumps(GOOD | {"orderid": "order-1", "unknownextension": [1], "causationid": None}))
    assert event == Event(
        id=GOOD["id"],
        source="/services/orders",
        type="order.placed.v1",
        subject="order-1",
        time="2026-11-02T09:15:11.300000Z",
        sequence=1,
        correlationid="request-1",
        orderid="order-1",
        data={"total": 1},
    )


@given(
    st.builds(
        Event,
        id=st.uuids().map(str),
        source=TEXT,
        type=st.just("order.placed.v12"),
        subject=TEXT,
        time=st.datetimes(*YEARS, timezones=st.timezones()).map(rfc3339),
        sequence=st.integers(1, 2**63 - 1),
        correlationid=TEXT,
        causationid=st.none() | TEXT,
        orderid=st.none() | TEXT,
        traceparent=st.none() | TEXT,
        data=st.dictionaries(st.text(), JSON, max_size=4),
    )
)
def test_what_is_written_is_read_again(event: Event) -> None:
    assert from_json(event.to_json()) == event


@given(
    st.binary() | st.text() | JSON.map(json.dumps) | st.dictionaries(st.sampled_from(list(GOOD)), JSON).map(json.dumps)
)
@example(b"\xff\xfe{")
@example("[" * 100_000)
@example("[" * 100_000 + "]" * 100_000)
@example('{"a":' * 50_000)
@example("1" * 10_000)
@example("\ufeff{}")
def test_bytes_that_are_no_event_are_refused_and_nothing_else(body: bytes | str) -> None:
    with pytest.raises(InvalidEventError):
        from_json(body)


@given(st.sampled_from(list(GOOD)), JSON)
def test_a_changed_attribute_gives_an_event_or_an_error(name: str, value: Any) -> None:
    try:
        event = from_json(json.dumps(GOOD | {name: value}))
    except InvalidEventError:
        return
    assert from_json(event.to_json().encode()) == event  # what was let in can go out, as UTF-8


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": "1"}, "id is not a UUID"),
        ({"id": GOOD["id"].upper()}, "canonical"),
        ({"id": f"{{{GOOD['id']}}}"}, "canonical"),
        ({"id": None}, "id is not a text"),
        ({"source": ""}, "source is not a text"),
        ({"subject": "x" * 513}, "subject is not a text of 1 to 512"),
        ({"subject": "a\x00b"}, "subject"),
        ({"subject": "\ud800"}, "subject holds a lone surrogate"),
        ({"type": "OrderPlaced"}, "type is not of the form"),
        ({"type": "order.placed"}, "type is not of the form"),
        ({"type": "order.placed.v0"}, "type is not of the form"),
        ({"type": "order.placed.v1\n"}, "type is not of the form"),
        ({"time": "yesterday"}, "time: "),
        ({"time": "2026-11-02T09:15:11"}, "time has no zone"),
        ({"time": "0001-01-01T00:00:00+02:00"}, "time: "),
        ({"sequence": 0}, "sequence"),
        ({"sequence": "1"}, "sequence"),
        ({"sequence": True}, "sequence"),
        ({"sequence": 1.0}, "sequence"),
        ({"sequence": 2**63}, "sequence"),
        ({"correlationid": None}, "correlationid"),
        ({"causationid": 7}, "causationid"),
        ({"data": None}, "data is not a JSON object"),
        ({"data": []}, "data is not a JSON object"),
    ],
)
def test_each_refusal_says_what_is_wrong(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEventError, match=reason) as caught:
        from_json(json.dumps(GOOD | change))
    assert classify(caught.value) is Rejected


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_json_cannot_represent_are_rejected(number: str) -> None:
    body = json.dumps(GOOD).replace('"total": 1', f'"total": {number}')
    with pytest.raises(InvalidEventError, match="not JSON"):
        from_json(body)


@pytest.mark.parametrize("bracket", ['{"a":', "["])
def test_depth_is_bounded(bracket: str) -> None:
    def nested(levels: int) -> str:
        closing = "}" if bracket.startswith("{") else "]"
        inner = bracket * levels + "1" + closing * levels
        return json.dumps(GOOD | {"data": {"inner": 0}}).replace('"inner": 0', f'"inner": {inner}')

    below_the_two_around_it = MAX_DEPTH - 3
    assert from_json(nested(below_the_two_around_it)).data
    with pytest.raises(InvalidEventError, match="nested deeper"):
        from_json(nested(MAX_DEPTH))


def test_breadth_is_not_depth() -> None:
    data = {"items": [{"a": [1]} for _ in range(1_000)]}
    assert from_json(json.dumps(GOOD | {"data": data})).data == data


class Total(StrictSchema):
    total = Integer(required=True)


class TotalRead(TolerantSchema):
    total = Integer(required=True)


def test_events_of_a_contract_inherit_the_message_context() -> None:
    contract = Contract("order.placed.v1", "/services/orders", Total(), "An order.")
    cause = from_document(GOOD | {"traceparent": "00-trace"})
    event = contract.event(
        subject="order-1", sequence=2, data={"total": 5}, message_context=cause.message_context, order_id="order-1"
    )
    assert (event.type, event.source, event.sequence, event.orderid) == (contract.type, contract.source, 2, "order-1")
    assert (event.correlationid, event.causationid, event.traceparent) == ("request-1", cause.id, "00-trace")
    assert from_json(event.to_json()) == event


@pytest.mark.parametrize("data", [{}, {"total": "5"}, {"total": 5, "colour": "red"}])
def test_a_contract_rejects_data_that_violates_its_schema(data: dict[str, Any]) -> None:
    contract = Contract("order.placed.v1", "/services/orders", Total(), "An order.")
    with pytest.raises(InvalidEventError, match=r"order\.placed\.v1"):
        contract.event(subject="order-1", sequence=1, data=data, message_context=MessageContext("request-1"))


def test_a_reader_takes_what_it_knows_and_refuses_what_it_cannot_use() -> None:
    assert read(TotalRead(), from_document(GOOD | {"data": {"total": 5, "colour": "red"}})) == {"total": 5}
    with pytest.raises(InvalidEventError, match=r"order\.placed\.v1.*total"):
        read(TotalRead(), from_document(GOOD | {"data": {"colour": "red"}}))


def test_ids_are_version_7_and_in_order() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert {text[14] for text in ids} == {"7"}


def test_moments_are_written_in_utc_with_microseconds() -> None:
    assert rfc3339(utc_now().replace(2026, 1, 31, 12, 0, 0, 0)) == "2026-01-31T12:00:00.000000Z"


def test_absent_extensions_are_left_out() -> None:
    assert "causationid" not in from_document(GOOD).to_document()
