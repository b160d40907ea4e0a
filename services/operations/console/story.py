"""One order's story on a scale of time: its events, failed attempts and dead letters, oldest first. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


WIDTH = 1000.0
_BAD = frozenset({"payment.declined.v1", "stock.rejected.v1", "attempt.failed.v1"})
_WARN = frozenset({"order.cancelled.v1", "payment.refunded.v1", "stock.released.v1"})


@dataclass(frozen=True, slots=True)
class Step:
    """`seconds` after the order was placed; `start` and `end` are where the step is on the scale, up to WIDTH."""

    seconds: float
    delay_seconds: float
    start: float
    end: float
    place: str
    type: str
    text: str
    state: str
    details: str
    letter_id: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    steps: list[Step]
    seconds: float


def story(entries: Iterable[Mapping[str, Any]], letters: Iterable[Mapping[str, Any]]) -> Story:
    """The steps of an order from the archive's time line and its dead letters, by time."""
    told = [_entry(entry) for entry in entries] + [_letter(letter) for letter in letters]
    told.sort(key=lambda each: each[0])
    if not told:
        return Story([], 0.0)
    begin, length = told[0][0], (told[-1][0] - told[0][0]).total_seconds()
    steps, before = [], 0.0
    for moment, known in told:
        seconds = (moment - begin).total_seconds()
        start, end = (before / length * WIDTH, seconds / length * WIDTH) if length else (0.0, 0.0)
        steps.append(Step(seconds=seconds, delay_seconds=seconds - before, start=start, end=end, **known))
        before = seconds
    return Story(steps, length)


def _entry(entry: Mapping[str, Any]) -> tuple[datetime, dict[str, Any]]:
    kind = str(entry["type"])
    state = "bad" if kind in _BAD else "warn" if kind in _WARN else "ok"
    place = str(entry["source"]).rpartition("/")[2]
    known = {
        "place": place,
        "type": kind,
        "text": str(entry["summary"]),
        "state": state,
        "details": pretty(entry["data"]),
    }
    return datetime.fromisoformat(entry["time"]), known


def _letter(letter: Mapping[str, Any]) -> tuple[datetime, dict[str, Any]]:
    text = f"Dead letter of {letter['event_type'] or 'a message'}: {letter['error']}"
    known = {"place": str(letter["queue"]).partition(".")[0], "type": "dead letter", "text": text, "state": "bad"}
    return datetime.fromisoformat(letter["failed_at"]), known | {"details": "", "letter_id": letter["id"]}


def pretty(value: Any) -> str:
    """JSON to be read by people."""
    return json.dumps(value, indent=2, ensure_ascii=False)
