"""What /metrics says of the items that wait for a decision."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from common.messaging import undecided
from common.messaging.undecided import MARGIN_SECONDS, UndecidedItems


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def items(clock: Clock) -> UndecidedItems:
    return UndecidedItems("waiting", clock)


def shown() -> tuple[float | None, float | None]:
    labels = {"consumer": "waiting"}
    count = REGISTRY.get_sample_value("holdfast_undecided_items", labels)
    return count, REGISTRY.get_sample_value("holdfast_undecided_oldest_seconds", labels)


def test_the_oldest_is_as_old_as_it_has_waited(items: UndecidedItems, clock: Clock) -> None:
    assert shown() == (0, 0)
    items.record("a", waited_seconds=5, delay_seconds=5)
    items.record("b", waited_seconds=120, delay_seconds=120)
    clock.now += 4
    assert shown() == (2, 124)
    items.record("a", waited_seconds=10, delay_seconds=5)  # the same item again
    assert shown() == (2, 124)
    items.forget("b")
    assert shown() == (1, 10)
    items.forget("unknown")


def test_an_item_that_does_not_return_is_forgotten(items: UndecidedItems, clock: Clock) -> None:
    items.record("a", waited_seconds=600, delay_seconds=600)
    clock.now += 600 + MARGIN_SECONDS
    assert shown() == (1, 1200 + MARGIN_SECONDS)
    clock.now += 1
    assert shown() == (0, 0)


def test_their_number_is_bounded_and_the_oldest_stay(
    items: UndecidedItems, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undecided, "MAX_ITEMS", 2)
    items.record("a", waited_seconds=30, delay_seconds=30)
    items.record("b", waited_seconds=0, delay_seconds=5)
    items.record("c", waited_seconds=90, delay_seconds=30)
    assert shown() == (2, 30)
    items.record("a", waited_seconds=60, delay_seconds=30)
    assert shown() == (2, 60)
    clock.now += 5 + MARGIN_SECONDS + 1  # b is lost
    items.record("c", waited_seconds=90, delay_seconds=30)
    assert shown()[0] == 2
