"""When events are released: by position, and by sequence within a source and subject."""

from __future__ import annotations

import random
from typing import Any

import pytest

from workers.bridge import ordering
from workers.bridge.ordering import Ordering


def event(position: int, sequence: int, subject: str = "order-1", **changes: Any) -> dict[str, Any]:
    document = {"_id": f"{subject}/{sequence}", "position": position, "sequence": sequence, "subject": subject}
    return document | {"source": "/services/orders", "type": "order.placed.v1"} | changes


class Archive:
    """A fake archive, for the lookup of predecessors."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self._known = {(each["source"], each["subject"], each["sequence"]): each["position"] for each in documents}

    def position_of(self, source: str, subject: str, sequence: int) -> int | None:
        return self._known.get((source, subject, sequence))


def ordered(*documents: dict[str, Any], gap_seconds: float = 30) -> Ordering:
    return Ordering(Archive(*documents).position_of, gap_seconds=gap_seconds)


def taken(order: Ordering, documents: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(each["subject"], each["sequence"]) for document in documents for each in order.take(document, 0)]


def test_events_in_order_are_released_at_once() -> None:
    documents = [event(1, 1), event(2, 1, "order-2"), event(3, 2), event(4, 2, "order-2")]
    assert taken(ordered(*documents), documents) == [("order-1", 1), ("order-2", 1), ("order-1", 2), ("order-2", 2)]


@pytest.mark.parametrize("seed", range(20))
def test_each_subject_is_released_in_sequence_for_any_order_of_arrival(seed: int) -> None:
    sequences = [(subject, number) for subject in ("a", "b", "c") for number in range(1, 9)]
    random.Random(seed).shuffle(sequences)
    documents = [event(position, number, subject) for position, (subject, number) in enumerate(sequences, 1)]
    order = ordered(*documents)
    found = taken(order, documents)
    assert sorted(found) == sorted(sequences)
    for name in ("a", "b", "c"):
        assert [number for subject, number in found if subject == name] == list(range(1, 9))
    assert (order.held, order.lowest_held) == (0, None)


def test_sources_of_one_subject_are_independent() -> None:
    other = event(2, 1, source="/services/payments")
    assert taken(ordered(), [event(1, 2), other]) == [("order-1", 1)]


def test_a_waiting_event_keeps_its_position_unconfirmed() -> None:
    order = ordered()
    assert taken(order, [event(4, 3), event(5, 2)]) == []
    assert (order.held, order.lowest_held) == (2, 4)
    assert taken(order, [event(6, 1)]) == [("order-1", 1), ("order-1", 2), ("order-1", 3)]


def test_a_predecessor_released_before_the_start_is_looked_up() -> None:
    assert taken(ordered(event(1, 1)), [event(2, 2)]) == [("order-1", 2)]
    assert taken(ordered(event(3, 1)), [event(2, 2)]) == []  # it arrives later


def test_a_gap_delays_successors_for_a_bounded_time() -> None:
    order = ordered(gap_seconds=30)
    assert list(order.take(event(1, 2), 100.0)) == []
    assert list(order.take(event(2, 3), 120.0)) == []
    assert order.overdue(129.9) == []
    assert [each["sequence"] for each in order.overdue(130.0)] == [2, 3]
    assert order.held == 0
    assert taken(order, [event(3, 4), event(4, 1)]) == [("order-1", 4), ("order-1", 1)]


def test_the_number_of_waiting_events_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MAX_HELD", 2)
    order = ordered()
    assert taken(order, [event(1, 5, "a"), event(2, 5, "b"), event(3, 5, "c")]) == [("a", 5)]
    assert order.held == 2


def test_failed_attempts_are_not_ordered() -> None:
    assert taken(ordered(), [event(1, 3, type="attempt.failed.v1")]) == [("order-1", 3)]
