"""Who is at fault: the dependency that an item says is down, or the item."""

from __future__ import annotations

from common.messaging import item_outages
from common.messaging.item_outages import MAX_ITEMS, MAX_PAUSES, MAX_SHARED_PAUSES, ItemOutages


def test_an_item_that_alone_fails_is_at_fault_after_some_pauses() -> None:
    outages = ItemOutages()
    assert [outages.is_at_fault("odd") for _ in range(MAX_PAUSES)] == [False] * MAX_PAUSES
    assert outages.is_at_fault("odd")
    outages.record_end("odd", success=True)
    assert not outages.is_at_fault("odd")


def test_two_failing_items_are_detected_while_others_succeed() -> None:
    outages = ItemOutages()
    found: list[tuple[bool, bool]] = []
    for number in range(MAX_PAUSES + 1):
        outages.record_end(f"fine-{number}", success=True)
        found.append((outages.is_at_fault("odd"), outages.is_at_fault("strange")))
    assert found == [(False, False)] * MAX_PAUSES + [(True, True)]


def test_what_fails_for_everybody_is_an_outage_whatever_the_probes_say() -> None:
    outages = ItemOutages()
    for _ in range(MAX_SHARED_PAUSES // 2):
        assert not any(outages.is_at_fault(f"item-{number}") for number in range(4))
    outages.record_end("item-0", success=False)  # a failure of another kind is no sign that it answers
    assert not outages.is_at_fault("item-1")


def test_even_then_pauses_are_bounded() -> None:
    outages = ItemOutages()
    found = [outages.is_at_fault(name) for _ in range(MAX_SHARED_PAUSES + 1) for name in ("one", "other")]
    assert found == [False] * 2 * MAX_SHARED_PAUSES + [True] * 2


def test_the_memory_is_bounded() -> None:
    outages = ItemOutages()
    for number in range(MAX_ITEMS + 5):
        outages.is_at_fault(str(number))
    assert len(outages._streaks) == item_outages.MAX_ITEMS
