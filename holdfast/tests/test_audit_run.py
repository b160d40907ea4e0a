"""The audit's verdict: a mismatch counts only if it is in every reading."""

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
from holdfast.tests.audit_views import GOOD, order, shelf

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


def test_consistent_data_is_read_once() -> None:
    witness = Witness([reading(shelf(), GOOD)], [])
    verdict = audit(witness, 60)
    assert (verdict.findings, verdict.read_again, witness.asked_again) == ([], 0, [])
    assert document(verdict)["ok"] is True


def test_an_order_in_progress_is_read_until_it_has_ended() -> None:
    witness = Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}, {OPEN.id: GOOD}])
    verdict = audit(witness, 60)
    assert (verdict.findings, verdict.read_again) == ([], 1)


def test_an_order_that_remains_open_is_found() -> None:
    verdict = audit(Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}]), 0.05)
    assert {finding.promise for finding in verdict.findings} == {"P1"}
    assert document(verdict)["promises"][0]["broken"] == 1


def test_mismatching_stock_is_read_again_with_all_orders() -> None:
    verdict = audit(Witness([reading(WRONG_SHELF, GOOD), reading(shelf(), GOOD)], []), 60)
    assert verdict.findings == []


def test_a_stable_stock_mismatch_is_found() -> None:
    verdict = audit(Witness([reading(WRONG_SHELF, GOOD)], []), 0.05)
    assert {finding.promise for finding in verdict.findings} == {"P3"}


def test_stock_that_matched_once_is_not_a_finding() -> None:
    """Two products under load, whose readings mismatch in turn."""
    other = replace(WRONG_SHELF, sku="TEA-2")
    first = Reading({}, {"TEA-1": WRONG_SHELF, "TEA-2": replace(other, product=shelf().product)}, 0, 0, 0)
    second = Reading({}, {"TEA-1": shelf(), "TEA-2": other}, 0, 0, 0)
    assert audit(Witness([first, second], []), 60).findings == []


def test_a_mismatch_is_read_again_after_a_slow_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(step=1000.0)  # each reading of the clock is a quarter of an hour later
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    witness = Witness([reading(WRONG_SHELF, OPEN), reading(shelf(), GOOD)], [{OPEN.id: GOOD}])
    assert audit(witness, 1).findings == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that advances one second at each reading."""
    seconds = count(step=1.0)
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))


@pytest.mark.usefixtures("clock")
def test_the_audit_waits_for_open_orders_while_a_backlog_is_reported() -> None:
    """The order of an overloaded system ends long after the settle time."""
    late, reported = 100, list[Backlog]()
    witness = Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}] * late + [{OPEN.id: GOOD}], [BEHIND] * late)
    verdict = audit(witness, 60, behind_seconds=600, waiting=reported.append)
    assert (verdict.findings, verdict.behind) == ([], None)
    assert reported == [BEHIND] * late


@pytest.mark.usefixtures("clock")
def test_the_wait_for_a_backlog_is_bounded() -> None:
    witness = Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}], repeat(BEHIND))
    verdict = audit(witness, 60, behind_seconds=600)
    assert {finding.promise for finding in verdict.findings} == {"P1"}
    assert verdict.behind == BEHIND
    assert document(verdict)["behind_seconds"] == BEHIND.seconds


@pytest.mark.usefixtures("clock")
def test_the_audit_does_not_wait_without_a_backlog() -> None:
    verdict = audit(Witness([reading(shelf(), OPEN)], [{OPEN.id: OPEN}]), 60, behind_seconds=10**9)
    assert {finding.promise for finding in verdict.findings} == {"P1"}
    assert verdict.behind is None


def test_nothing_is_read_again_without_settle_time() -> None:
    witness = Witness([reading(shelf(), OPEN)], [{OPEN.id: GOOD}])
    assert {finding.promise for finding in audit(witness, 0).findings} == {"P1"}
    assert witness.asked_again == []


def test_the_end_of_time_sorts_after_every_time() -> None:
    assert END_OF_TIME > "2999-01-01T00:00:00.000000Z"
