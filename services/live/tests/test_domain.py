"""Cursors and frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.live.domain import Cursor, Owner, customer_messages, message, opening, parse_cursor


def archived(position: int, **changes: Any) -> dict[str, Any]:
    document = {
        "_id": f"e{position}",
        "position": position,
        "type": "order.confirmed.v1",
        "orderid": "o1",
        "data": "{}",
    }
    return document | changes


@pytest.mark.parametrize("text", ["0", "7", "123456789012345678", "7.1", "7.999999"])
def test_a_cursor_survives_a_round_trip(text: str) -> None:
    assert str(parse_cursor(text)) == text


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "01", "1.0", "1.", ".1", "1.1.1", "1e3", " 1", "1\n", "x", "1" * 19, "٣", "1.1234567"]
)
def test_a_malformed_cursor_is_none(text: str) -> None:
    assert parse_cursor(text) is None


def test_cursors_within_a_position_sort_after_it() -> None:
    assert Cursor(4) < Cursor(4, 1) < Cursor(4, 2) < Cursor(5)


def test_a_message_is_one_frame_with_the_event() -> None:
    document = archived(3, data='{"text":"a\\nb","$n":1}', sequence=2, correlationid="secret?", received_at="x")
    lines = message(document).frame.decode().split("\n")
    assert lines[0] == "id: 3"
    assert json.loads(lines[1].removeprefix("data: ")) == {
        "id": "e3",
        "type": "order.confirmed.v1",
        "sequence": 2,
        "orderid": "o1",
        "data": {"text": "a\nb", "$n": 1},
    }
    assert lines[2:] == ["", ""]


def test_a_customer_gets_an_event_once_the_owner_of_its_order_is_known() -> None:
    assert customer_messages(archived(3), None, []) == []
    assert customer_messages(archived(3), Owner("c", 4), []) == []
    assert [each.cursor for each in customer_messages(archived(5), Owner("c", 4), [archived(3)])] == [Cursor(5)]


def test_events_archived_before_order_placed_follow_it() -> None:
    shown = customer_messages(archived(4), Owner("c", 4), [archived(2), archived(3)])
    assert [str(each.cursor) for each in shown] == ["4", "4.1", "4.2"]
    assert b'"id":"e3"' in shown[2].frame


def test_a_stream_begins_with_its_cursor() -> None:
    assert opening(Cursor(9), 1500) == b"retry: 1500\nid: 9\n\n"
