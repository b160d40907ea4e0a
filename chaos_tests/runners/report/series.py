"""Time series: the history and the snapshot, counted in spans of equal length. Pure.

Confirmed orders are counted by the archive's times (which clock faults shift); without a snapshot, by the time when a
client first saw them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chaos_tests.runners.checker.snapshot import Snapshot

MOST_SPANS = 150
SPANS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
ORDINARY = ("404", "409", "422")

Values = list[float | None]


@dataclass(slots=True)
class Series:
    """`step_seconds` is the length of a span. None is a span without data."""

    step_seconds: float
    seconds: float
    accepted: Values  # a second
    confirmed: Values  # a second
    typical_ms: Values
    slowest_ms: Values  # the 99th percentile
    refused: Values
    unanswered: Values
    queued: Values
    outbox: Values
    duplicates: Values
    memory: dict[str, Values] = field(default_factory=dict)  # megabytes, by process
    storage: dict[str, Values] = field(default_factory=dict)  # megabytes, by table or collection
    latency_ms: dict[str, float] = field(default_factory=dict)  # of the whole run, by name
    saga_seconds: dict[str, float] = field(default_factory=dict)


class Counting:
    """Consumes the records of a history, one after the other."""

    def __init__(self) -> None:
        self.run: dict[str, Any] = {}
        self.last = 0.0
        self.placed: list[tuple[float, float, bool]] = []  # answered, how long it took, whether accepted is_new
        self.troubles: list[tuple[float, str]] = []
        self.seen_confirmed: dict[str, float] = {}
        self.samples: list[dict[str, Any]] = []
        self.resources: list[dict[str, Any]] = []
        self._pending: dict[int, tuple[float, bool]] = {}

    def take(self, record: dict[str, Any]) -> None:
        kind = record["kind"]
        if kind == "op" and record["type"] == "invoke":
            self._pending[record["i"]] = record["t_mono"], bool(record["value"].get("impatient"))
        elif kind == "op":
            self._done(record)
        elif kind == "sample":
            self.samples.append(record)
        elif kind == "resources":
            self.resources.append(record)
        elif kind == "run":
            self.run = record

    def _done(self, record: dict[str, Any]) -> None:
        asked, impatient = self._pending.pop(record["i"], (None, False))
        at, kind, value = record["t_mono"], record["type"], record["value"]
        self.last = max(self.last, at)
        if kind == "ok":
            if record["f"] == "place" and asked is not None:
                self.placed.append((at, at - asked, not value.get("replayed")))
            if value.get("status") == "confirmed":
                self.seen_confirmed.setdefault(value["id"], at)
        elif not impatient and not str(record["error"]).startswith(ORDINARY):
            self.troubles.append((at, kind))


def count(records: Iterable[dict[str, Any]], snapshot: Snapshot | None) -> Series:
    """Raises `ValueError` if the history has no beginning."""
    counting = Counting()
    for record in records:
        counting.take(record)
    if not counting.run:
        raise ValueError("the history has no beginning")
    start = counting.run["t_mono"]
    seconds = max(counting.last - start, 1.0)
    step = next((each for each in SPANS_SECONDS if seconds / each <= MOST_SPANS), SPANS_SECONDS[-1])
    spans = _Spans(start, step, math.ceil(seconds / step))
    confirmed, sagas = _sagas(counting, snapshot)
    took = sorted(seconds * 1000 for _, seconds, _ in counting.placed)
    return Series(
        step_seconds=step,
        seconds=round(seconds, 3),
        accepted=spans.rates(at for at, _, is_new in counting.placed if is_new),
        confirmed=spans.rates(confirmed),
        typical_ms=spans.shares(((at, took * 1000) for at, took, _ in counting.placed), 0.5),
        slowest_ms=spans.shares(((at, took * 1000) for at, took, _ in counting.placed), 0.99),
        refused=spans.counts(at for at, kind in counting.troubles if kind == "fail"),
        unanswered=spans.counts(at for at, kind in counting.troubles if kind == "info"),
        queued=spans.latest(_queued(counting.samples)),
        outbox=spans.latest([(sample["t_mono"], sample.get("outbox_rows")) for sample in counting.samples]),
        duplicates=spans.increments(_duplicates(counting.samples)),
        memory=_megabytes(spans, counting.resources, "memory"),
        storage=_megabytes(spans, counting.resources, "storage"),
        latency_ms={"p50": share(took, 0.5), "p99": share(took, 0.99), "max": share(took, 1.0)},
        saga_seconds={"p50": share(sagas, 0.5), "p99": share(sagas, 0.99), "max": share(sagas, 1.0)},
    )


def share(ordered: list[float], part: float) -> float:
    """The percentile of the values for this share (0 to 1); 0 without values."""
    return round(ordered[min(int(len(ordered) * part), len(ordered) - 1)], 3) if ordered else 0.0


def _sagas(counting: Counting, snapshot: Snapshot | None) -> tuple[list[float], list[float]]:
    """When orders were confirmed, on the history's clock, and their confirmation times, in order."""
    if snapshot is None:
        return sorted(counting.seen_confirmed.values()), []
    confirmed, took = [], []
    offset = counting.run["t_mono"] - counting.run["wall"]
    for view in snapshot.orders.values():
        times = {event.type: event.time for event in view.events}
        if "order.confirmed.v1" in times:
            at = datetime.fromisoformat(times["order.confirmed.v1"]).timestamp()
            confirmed.append(at + offset)
            if "order.placed.v1" in times:
                took.append(at - datetime.fromisoformat(times["order.placed.v1"]).timestamp())
    return confirmed, sorted(took)


def _queued(samples: list[dict[str, Any]]) -> Iterable[tuple[float, float | None]]:
    for sample in samples:
        queues = sample.get("queues")
        yield sample["t_mono"], None if queues is None else sum(queues.values())


def _megabytes(spans: _Spans, records: list[dict[str, Any]], kind: str) -> dict[str, Values]:
    names = dict.fromkeys(name for record in records for name in record[kind])
    return {
        name: spans.latest((each["t_mono"], round(each[kind][name] / 1e6, 1)) for each in records if name in each[kind])
        for name in names
    }


def _duplicates(samples: list[dict[str, Any]]) -> Iterable[tuple[float, float]]:
    for sample in samples:
        if sample.get("duplicates") is not None:
            yield sample["t_mono"], sum(sample["duplicates"].values())


@dataclass(frozen=True, slots=True)
class _Spans:
    start: float
    step: float
    number: int

    def index(self, moment: float) -> int | None:
        """The span; None for times outside."""
        index = int((moment - self.start) / self.step)
        return index if 0 <= index < self.number else None

    def counts(self, moments: Iterable[float]) -> Values:
        found = Counter(map(self.index, moments))
        return [found[index] for index in range(self.number)]

    def rates(self, moments: Iterable[float]) -> Values:
        return [(count or 0) / self.step for count in self.counts(moments)]

    def grouped(self, values: Iterable[tuple[float, float]]) -> dict[int | None, list[float]]:
        found: dict[int | None, list[float]] = defaultdict(list)
        for moment, value in values:
            found[self.index(moment)].append(value)
        return found

    def shares(self, values: Iterable[tuple[float, float]], part: float) -> Values:
        found = self.grouped(values)
        return [share(sorted(found[index]), part) if index in found else None for index in range(self.number)]

    def latest(self, values: Iterable[tuple[float, float | None]]) -> Values:
        """The last value in or before each span. None is unknown."""
        found: dict[int | None, float | None] = {self.index(moment): value for moment, value in values}
        filled: Values = []
        for index in range(self.number):
            filled.append(found[index] if index in found else filled[-1] if filled else None)
        return filled

    def increments(self, totals: Iterable[tuple[float, float]]) -> Values:
        """The growth of a counter in each span, from the first sample on."""
        found: Values = [0.0] * self.number
        before: float | None = None
        for moment, total in totals:
            index = self.index(moment)
            if before is not None and index is not None:
                found[index] = (found[index] or 0.0) + max(0.0, total - before)
            before = total
        return found
