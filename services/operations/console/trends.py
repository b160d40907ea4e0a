"""Curves of the last hour: orders accepted and ended per minute, and the confirmation time.

Each point is the difference between two samples of the processes' counters. They are kept in this process only: after
its restart the curves start again. A counter that decreased was restarted, and counts from zero.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.observability import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.operations.monitoring import Snapshot

SAMPLE_SECONDS = 15.0
CLOSE_SECONDS = 10.0
SAMPLES = 240  # an hour
RECENT = 20  # points of the figures at the top: five minutes
_ACCEPTED, _CONFIRMED = "holdfast_orders_accepted_total", "holdfast_orders_confirmed_total"
_CANCELLED, _BUCKET = "holdfast_orders_cancelled_total", "holdfast_order_confirmation_seconds_bucket"
_log = logs.logger(__name__)

Counters = dict[tuple[str, str, str], float]


@dataclass(frozen=True, slots=True)
class Point:
    """The counts within `seconds`. `confirmations` are cumulative by duration."""

    seconds: float
    accepted: float
    confirmed: float
    cancelled: float
    confirmations: Mapping[float, float] = field(default_factory=dict)


class Trends:
    """Points of the last hour. `watch` starts the sampling thread."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=SAMPLES)
        self._last: tuple[float, Counters] | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def watch(self, take_snapshot: Callable[[], Snapshot]) -> None:
        """Sample every `SAMPLE_SECONDS` from now on; idempotent."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, args=(take_snapshot,), name="trends", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop sampling; returns when the thread has ended, or after a time-out."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def add(self, snapshot: Snapshot, at: float) -> None:
        """Record the point between this sample and the previous one; `at` is on the monotonic clock."""
        counters = _counters(snapshot)
        if self._last is not None:
            before, known = self._last
            self._points.append(_point(at - before, {key: _gain(known, key, now) for key, now in counters.items()}))
            counters = known | counters  # a process that did not answer keeps its last values
        self._last = (at, counters)

    @property
    def points(self) -> list[Point]:
        return list(self._points)

    def _run(self, take_snapshot: Callable[[], Snapshot]) -> None:
        while not self._closed.is_set():
            try:
                self.add(take_snapshot(), time.monotonic())
            except Exception as error:  # noqa: BLE001 - the next snapshot may succeed
                _log.warning("cannot take a sample for the charts", error=f"{type(error).__name__}: {error}")
            self._closed.wait(SAMPLE_SECONDS)


def per_minute(points: Sequence[Point], name: str) -> float | None:
    """The rate of `accepted`, `confirmed` or `cancelled` over these points."""
    seconds = sum(point.seconds for point in points)
    return sum(getattr(point, name) for point in points) * 60 / seconds if seconds else None


def typical_seconds(points: Sequence[Point]) -> float | None:
    """The median confirmation time, interpolated within its bucket; None without confirmations."""
    sums: dict[float, float] = {}
    for point in points:
        for bound, count in point.confirmations.items():
            sums[bound] = sums.get(bound, 0.0) + count
    total = max(sums.values(), default=0.0)
    lower, below = 0.0, 0.0
    for bound, count in sorted(sums.items()):
        if total and count >= total / 2:
            if bound == float("inf"):
                return lower  # at least this many
            return lower + (total / 2 - below) / (count - below) * (bound - lower) if count > below else bound
        lower, below = bound, count
    return None


def _counters(snapshot: Snapshot) -> Counters:
    names = {_ACCEPTED, _CONFIRMED, _CANCELLED, _BUCKET}
    found: Counters = {}
    for process, samples in snapshot.metrics.items():
        for sample in samples:
            if sample.name in names:
                key = (process, sample.name, sample.labels.get("le", ""))
                found[key] = found.get(key, 0.0) + sample.value
    return found


def _gain(known: Counters, key: tuple[str, str, str], now: float) -> float:
    before = known.get(key)
    return 0.0 if before is None else now - before if now >= before else now


def _point(seconds: float, gains: Mapping[tuple[str, str, str], float]) -> Point:
    sums = dict.fromkeys((_ACCEPTED, _CONFIRMED, _CANCELLED), 0.0)
    confirmations: dict[float, float] = {}
    for (_, name, bound), gain in gains.items():
        if name == _BUCKET:
            confirmations[float(bound)] = confirmations.get(float(bound), 0.0) + gain
        else:
            sums[name] += gain
    return Point(seconds, sums[_ACCEPTED], sums[_CONFIRMED], sums[_CANCELLED], confirmations)
