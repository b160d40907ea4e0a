"""Slots are shared in turns; requests beyond the limits are rejected at once, and waits have a time-out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import pytest

from common.errors import Unavailable
from services.users.fair_slots import MAX_WAITING, MAX_WAITING_PER_CLIENT, FairSlots, TooManySignInsError

LONG = 60.0


class Holder:
    """Holds a slot, or waits for one, in its own thread."""

    def __init__(self, slots: FairSlots, client: str, order: list[str]) -> None:
        self.done = Event()
        self._thread = Thread(target=self._run, args=(slots, client, order), daemon=True)
        self._thread.start()

    def _run(self, slots: FairSlots, client: str, order: list[str]) -> None:
        with slots.slot(client):
            order.append(client)
            assert self.done.wait(LONG)

    def end(self) -> None:
        self.done.set()
        self._thread.join(LONG)


def waiting(slots: FairSlots) -> int:
    return sum(map(len, slots._waiting.values()))


def wait_until(slots: FairSlots, count: int) -> None:
    pause = Event()
    for _ in range(6000):
        if waiting(slots) == count:
            return
        pause.wait(0.01)
    raise AssertionError(f"{waiting(slots)} wait, not {count}")


def test_a_client_with_many_requests_does_not_delay_others() -> None:
    slots, order = FairSlots(1, wait_seconds=LONG), list[str]()
    holders = [Holder(slots, "first", order)]
    while order != ["first"]:
        Event().wait(0.01)
    for number, client in enumerate(["flood", "flood", "other"], 1):
        holders.append(Holder(slots, client, order))
        wait_until(slots, number)
    for holder in (holders[0], holders[1], holders[3], holders[2]):
        holder.end()
    assert order == ["first", "flood", "other", "flood"]


def test_a_client_beyond_its_share_is_rejected_and_others_are_not() -> None:
    slots, order = FairSlots(1, wait_seconds=LONG), list[str]()
    holders = [Holder(slots, "first", order)]
    while not order:
        Event().wait(0.01)
    holders += [Holder(slots, "flood", order) for _ in range(MAX_WAITING_PER_CLIENT)]
    wait_until(slots, MAX_WAITING_PER_CLIENT)
    with pytest.raises(TooManySignInsError), slots.slot("flood"):
        pass
    holders.append(Holder(slots, "other", order))
    wait_until(slots, MAX_WAITING_PER_CLIENT + 1)
    for holder in holders:
        holder.done.set()
    for holder in holders:
        holder.end()
    assert sorted(order) == ["first", *["flood"] * MAX_WAITING_PER_CLIENT, "other"]


def test_the_total_number_of_waiting_requests_is_bounded() -> None:
    slots, order = FairSlots(1, wait_seconds=LONG), list[str]()
    holders = [Holder(slots, "first", order)]
    while not order:
        Event().wait(0.01)
    holders += [Holder(slots, f"client-{number}", order) for number in range(MAX_WAITING)]
    wait_until(slots, MAX_WAITING)
    with pytest.raises(Unavailable), slots.slot("one more"):
        pass
    for holder in holders:
        holder.done.set()
    for holder in holders:
        holder.end()


def test_a_wait_times_out_and_leaves_the_slot_free() -> None:
    slots, order = FairSlots(1, wait_seconds=0.01), list[str]()
    holder = Holder(slots, "first", order)
    while not order:
        Event().wait(0.01)
    with pytest.raises(Unavailable), slots.slot("second"):
        pass
    assert waiting(slots) == 0
    holder.end()
    with slots.slot("second"):
        pass


def test_the_number_of_slots_is_constant_under_contention() -> None:
    slots = FairSlots(2, wait_seconds=0.001)
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        try:
            with slots.slot(f"client-{number % 5}"):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)
        except (Unavailable, TooManySignInsError):
            pass

    with ThreadPoolExecutor(16) as executor:
        list(executor.map(work, range(2_000)))
    assert max(most) <= 2
    assert slots._free == 2
    assert waiting(slots) == 0
