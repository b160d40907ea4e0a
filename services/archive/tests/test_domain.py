"""The timeline: the order of its entries, and their summaries."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.archive.domain import MAX_TEXT, Entry, in_order, summary

SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"
START = datetime(2026, 11, 2, 10, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
FIELDS = ["username", "sku", "name", "price", "delta", "on_hand", "reason", "items", "total", "amount", "refunded"]


def entry(name: str, second: float = 0, **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "id": name,
        "source": "/services/orders",
        "type": "order.confirmed.v1",
        "subject": "order-1",
        "sequence": 1,
        "time": "as its source wrote it",
        "at": START + timedelta(seconds=second),
        "received_at": "2026-11-02T10:00:00.000000Z",
        "data": {},
        "correlationid": "request-1",
    }
    return Entry(**(values | changes))


def described(*entries: Entry) -> list[tuple[str, float]]:
    return [(step.entry.id, step.delay_seconds) for step in in_order(entries)]


def test_a_timeline_without_entries_is_empty() -> None:
    assert in_order([]) == []


def test_entries_are_sorted_by_time_with_the_delay_since_the_previous_one() -> None:
    assert described(entry("c", 2.5), entry("a"), entry("b", 0.25)) == [("a", 0.0), ("b", 0.25), ("c", 2.25)]


def test_at_equal_times_an_effect_follows_its_cause() -> None:
    effect = entry("a", causationid="b", source="/services/a")
    cause = entry("b", causationid="c", source="/services/b")
    first = entry("c", source="/services/c")
    assert [name for name, _ in described(effect, cause, first)] == ["c", "b", "a"]


def test_at_equal_times_events_of_a_source_are_sorted_by_sequence() -> None:
    assert [name for name, _ in described(entry("a", sequence=2), entry("b", sequence=1))] == ["b", "a"]


def test_a_cycle_of_causes_is_handled() -> None:
    assert len(described(entry("a", causationid="b"), entry("b", causationid="a"), entry("c", causationid="c"))) == 3


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9), st.integers(0, 9)), max_size=10))
def test_delays_are_never_negative_and_order_is_independent_of_arrival(facts: list[tuple[int, int, int]]) -> None:
    entries = [
        entry(str(number), second / 10, causationid=str(cause), sequence=sequence)
        for number, (second, cause, sequence) in enumerate(facts)
    ]
    forwards, backwards = described(*entries), described(*reversed(entries))
    assert forwards == backwards
    assert all(delay >= 0 for _, delay in forwards)
    assert len(forwards) == len(entries)


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [
        ("user.registered.v1", "User registered: johndoe"),
        ("order.placed.v1", "Order placed: 2 x KETTLE-RED, 1 x TEA-EARL-GREY for 46.48 USD"),
        ("order.confirmed.v1", "Order confirmed: 46.48 USD"),
        ("order.cancelled.v1", "Order cancelled: payment declined"),
        ("stock.reserved.v1", "Stock reserved: 2 x KETTLE-RED, 1 x TEA-EARL-GREY"),
    ],
)
def test_the_golden_samples_are_described(event_type: str, expected: str) -> None:
    data = json.loads((SAMPLES / f"{event_type}.json").read_text())["data"]
    assert summary(entry("a", type=event_type, data=data)) == expected


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_known_type_has_its_own_sentence(path: Path) -> None:
    event_type = path.stem
    assert summary(entry("a", type=event_type, data=json.loads(path.read_text())["data"])) != summary(
        entry("a", type=event_type, data={})
    )


def test_a_failed_attempt_is_reported() -> None:
    data = {"event_id": "x", "consumer": "payments", "attempt": 2, "error_class": "KeyError", "error": "'card'"}
    described = summary(entry("a", type="attempt.failed.v1", data=data))
    assert described == "Attempt 2 failed in payments: KeyError: 'card'"


def test_long_lists_are_truncated() -> None:
    items = [{"sku": f"SKU-{number}", "quantity": 1} for number in range(100)]
    described = summary(entry("a", type="stock.sold.v1", data={"items": items}))
    assert described == "Stock sold: 1 x SKU-0, 1 x SKU-1, 1 x SKU-2, 1 x SKU-3, 1 x SKU-4 and 95 more"


def test_an_unknown_type_is_described_by_its_name() -> None:
    assert summary(entry("a", type="parcel.handed_over.v3", data={"weight": 1})) == "Parcel handed over"


@given(
    st.sampled_from([path.stem for path in SAMPLES.glob("*.json")] + ["attempt.failed.v1", "x.y.v1"]),
    JSON.filter(lambda value: isinstance(value, dict)) | st.dictionaries(st.sampled_from(FIELDS), JSON),
)
def test_any_data_gets_a_one_line_summary(event_type: str, data: Any) -> None:
    line = summary(entry("a", type=event_type, data=data))
    assert 0 < len(line) <= MAX_TEXT
    assert line.splitlines() == [line]
