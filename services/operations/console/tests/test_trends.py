"""Points, figures and curves from samples of counters."""

from __future__ import annotations

import threading

import pytest

from services.operations.console import curves
from services.operations.console import trends as trends_module
from services.operations.console.trends import SAMPLES, Point, Trends, per_minute, typical_seconds
from services.operations.monitoring import Sample, Snapshot

ACCEPTED, CONFIRMED = "holdfast_orders_accepted_total", "holdfast_orders_confirmed_total"


def snapshot(**values: float) -> Snapshot:
    """A sample with one process per count of accepted orders."""
    metrics = {name: [Sample(ACCEPTED, {}, value)] for name, value in values.items()}
    return Snapshot("2026-01-01T00:00:00Z", metrics, None, {})


def accepted(*snapshots: Snapshot) -> list[float]:
    trends = Trends()
    for at, each in enumerate(snapshots):
        trends.add(each, at * 15.0)
    return [point.accepted for point in trends.points]


def test_a_point_is_the_difference_of_two_samples() -> None:
    assert accepted(snapshot(a=5), snapshot(a=7), snapshot(a=7)) == [2, 0]


def test_instances_are_summed() -> None:
    assert accepted(snapshot(a=5, b=1), snapshot(a=7, b=4)) == [5]


def test_a_restarted_process_counts_from_zero_and_a_silent_one_continues() -> None:
    assert accepted(snapshot(a=5), snapshot(a=2), snapshot(a=3)) == [2, 1]
    assert accepted(snapshot(a=5), snapshot(), snapshot(a=8)) == [0, 3]


def test_labels_of_one_counter_are_summed() -> None:
    trends = Trends()
    for at, count in enumerate((1, 3)):
        samples = [Sample("holdfast_orders_cancelled_total", {"reason": reason}, count) for reason in ("a", "b")]
        trends.add(Snapshot("", {"worker-orders": samples}, None, {}), at)
    assert [point.cancelled for point in trends.points] == [4]


def test_samples_older_than_an_hour_are_dropped() -> None:
    assert len(accepted(*(snapshot(a=each) for each in range(SAMPLES + 50)))) == SAMPLES


def test_samples_are_taken_by_one_background_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trends_module, "CLOSE_SECONDS", 60.0)
    taken, trends = threading.Event(), Trends()

    def take() -> Snapshot:
        taken.set()
        raise RuntimeError("one failed snapshot does not stop the thread")

    before = watching()
    for _ in range(5):
        trends.watch(take)
    assert taken.wait(60)
    assert len(watching() - before) == 1
    trends.close()
    assert not watching() - before


def watching() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "trends"}


def points(*counts: float, **buckets: float) -> list[Point]:
    bounds = {float(bound.removeprefix("le_").replace("_", ".")): count for bound, count in buckets.items()}
    return [Point(15.0, count, 0.0, 0.0, bounds) for count in counts]


def test_a_rate_is_per_minute() -> None:
    assert per_minute(points(5, 10), "accepted") == 30
    assert per_minute([], "accepted") is None


@pytest.mark.parametrize(
    ("buckets", "seconds"),
    [
        ({}, None),
        ({"le_1": 0.0, "le_inf": 0.0}, None),
        ({"le_1": 10.0, "le_2": 10.0, "le_inf": 10.0}, 0.5),
        ({"le_1": 0.0, "le_2": 10.0, "le_inf": 10.0}, 1.5),
        ({"le_1": 0.0, "le_2": 0.0, "le_inf": 10.0}, 2.0),
    ],
)
def test_the_median_is_interpolated_within_its_bucket(buckets: dict[str, float], seconds: float | None) -> None:
    assert typical_seconds(points(0, **buckets)) == seconds


def test_curves_end_at_the_right_and_have_gaps_for_missing_data() -> None:
    drawn = curves.rates(points(0, 10))
    assert drawn.lines[0].pieces == [f"{curves.WIDTH / SAMPLES * (SAMPLES - 1):.1f},120.0 720.0,0.0"]
    assert drawn.top == 20
    assert curves.confirmation(points(0, 0)).lines[0].pieces == []
    assert curves.rates([]).lines[0].pieces == []


@pytest.mark.parametrize(("value", "top"), [(0.0, 0.1), (0.3, 0.5), (1.0, 1), (1.01, 2), (7, 10), (4321, 5000)])
def test_a_scale_ends_at_a_round_number(value: float, top: float) -> None:
    assert curves.nice_top(value) == pytest.approx(top)


def test_an_outlier_is_cut_off_and_named() -> None:
    usual, late = Point(15.0, 10.0, 0.0, 0.0), Point(15.0, 1000.0, 0.0, 0.0)
    drawn = curves.rates([usual] * 30 + [late])
    assert (drawn.top, drawn.cut) == (100, 1030.0)
    assert drawn.lines[0].pieces[0].endswith("720.0,0.0")
    assert curves.rates([usual] * 30).cut is None
