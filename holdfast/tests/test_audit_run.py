"""How the audit comes to its verdict: a mismatch counts only if it is there whenever it is looked at."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.audit import run
from holdfast.audit.backlog import Backlog
from holdfast.audit.reading import END_OF_TIME
from holdfast.audit.report import document
from holdfast.audit.views import OrderView, ProductView, Reading
from holdfast.tests.test_audit_promises import GOOD, order, shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BEHIND = Backlog(12, "700 messages in orders.events")
OPEN = replace(GOOD, order=order("reserved"))
WRONG_SHELF = shelf(sold=3)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PAUSE_SECONDS", 0)


def reading(product: ProductView, *orders: OrderView) -> Reading:
    return Reading({view.id: view for view in orders}, {product.sku: product}, 0, 0, 0)


class Witness:
    """Returns the configured values one after the other, and the last one for ever."""

    def __init__(
        self, readings: list[Reading], again: list[dict[str, OrderView]], backlogs: Iterable[Backlog | None] = ()
    ) -> None:
        self.readings, self.again, self.backlogs = deque(readings), deque(again), iter(backlogs)
        self.asked_again: list[set[str]] = []

    def read(self, _progress: Any) -> Reading:
        return self.readings.popleft() if len(self.readings) > 1 else self.readings[0]

    def read_again(self, views: Iterable[OrderView]) -> dict[str, OrderView]:
        self.asked_again.append({view.id for view in views})
        if not self.asked_again[-1]:
            return {}
        return self.again.popleft() if len(self.again) > 1 else self.again[0]

    def backlog(self) -> Backlog | None:
        return next(self.backlogs, None)


def audit(
    witness: Witness,
    settle_seconds: float,
    behind_seconds: float = 0,
    waiting: Callable[[Backlog], None] = lambda _: None,
) -> run.Verdict:
    return run.audit(
        witness,  # type: ignore[arg-type]  # it has what `audit` uses of the real one
        settle_seconds=settle_seconds,
        behind_seconds=behind_seconds,
        progress=lambda _what: None,
        waiting=waiting,
    )


def test_what_agrees_is_read_once() -> None:
    witness = Witness([reading(shelf(), GOOD)], [])
    verdict = audit(witness, 60)
    assert (verdict.findings, verdict.read_again, witness.asked_again) == ([], 0, [])
    assert document(verdict)["ok"] is True


def test_an_order_on_its_way_is_read_until_it_has_arrived() -> None:
    witness = Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}, {OPEN.id: GOOD}])
    verdict = audit(witness, 60)
    assert (verdict.findings, verdict.read_again) == ([], 1)


def test_an_order_that_stays_open_is_found() -> None:
    verdict = audit(Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}]), 0.05)
    assert {finding.promise for finding in verdict.findings} == {"P1"}
    assert document(verdict)["promises"][0]["broken"] == 1


def test_stock_read_at_a_bad_moment_is_read_again_with_everything() -> None:
    verdict = audit(Witness([reading(WRONG_SHELF, GOOD), reading(shelf(), GOOD)], []), 60)
    assert verdict.findings == []


def test_stock_that_stays_wrong_is_found() -> None:
    verdict = audit(Witness([reading(WRONG_SHELF, GOOD)], []), 0.05)
    assert {finding.promise for finding in verdict.findings} == {"P3"}


def test_stock_that_was_right_once_is_right() -> None:
    """Two products under load, each read at a bad moment in turn."""
    other = replace(WRONG_SHELF, sku="TEA-2")
    first = Reading({}, {"TEA-1": WRONG_SHELF, "TEA-2": replace(other, product=shelf().product)}, 0, 0, 0)
    second = Reading({}, {"TEA-1": shelf(), "TEA-2": other}, 0, 0, 0)
    assert audit(Witness([first, second], []), 60).findings == []


def test_however_slow_the_reading_was_a_mismatch_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(step=1000.0)  # every look at the clock is a quarter of an hour later
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    witness = Witness([reading(WRONG_SHELF, OPEN), reading(shelf(), GOOD)], [{OPEN.id: GOOD}])
    assert audit(witness, 1).findings == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is a second further at every look."""
    seconds = count(step=1.0)
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))


@pytest.mark.usefixtures("clock")
def test_while_the_system_says_that_it_is_behind_an_open_order_is_waited_for() -> None:
    """An overloaded system is late. The order ends long after the time to settle."""
    late, reported = 100, list[Backlog]()
    witness = Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}] * late + [{OPEN.id: GOOD}], [BEHIND] * late)
    verdict = audit(witness, 60, behind_seconds=600, waiting=reported.append)
    assert (verdict.findings, verdict.behind) == ([], None)
    assert reported == [BEHIND] * late


@pytest.mark.usefixtures("clock")
def test_a_system_that_stays_behind_is_waited_for_so_long_and_no_longer() -> None:
    witness = Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}], repeat(BEHIND))
    verdict = audit(witness, 60, behind_seconds=600)
    assert {finding.promise for finding in verdict.findings} == {"P1"}
    assert verdict.behind == BEHIND
    assert document(verdict)["behind_seconds"] == BEHIND.seconds


@pytest.mark.usefixtures("clock")
def test_a_system_that_keeps_up_is_not_waited_for() -> None:
    verdict = audit(Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}]), 60, behind_seconds=10**9)
    assert {finding.promise for finding in verdict.findings} == {"P1"}
    assert verdict.behind is None


def test_without_time_to_settle_nothing_is_read_again() -> None:
    witness = Witness([reading(shelf(), OPEN)], [{OPEN.id: GOOD}])
    assert {finding.promise for finding in audit(witness, 0).findings} == {"P1"}
    assert witness.asked_again == []


def test_the_end_of_time_sorts_behind_every_moment() -> None:
    assert END_OF_TIME > "2999-01-01T00:00:00.000000Z"
