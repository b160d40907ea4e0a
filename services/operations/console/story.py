"""The history of one order on a time scale: its events, failed attempts, dead letters, webhooks and operators' acts.
Pure.

The oldest step comes first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.operations.acts import DONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


WIDTH = 1000.0
_DELIVERED = range(200, 300)
_BAD = frozenset({"payment.declined.v1", "stock.rejected.v1", "attempt.failed.v1"})
_WARN = frozenset({"order.cancelled.v1", "payment.refunded.v1", "stock.released.v1"})


@dataclass(frozen=True, slots=True)
class Step:
    """`seconds` after the order was placed; `start` and `end` are the position of the step on the scale, up to
    WIDTH.
    """

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
    endpoint_id: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    steps: list[Step]
    seconds: float


def story(
    entries: Iterable[Mapping[str, Any]],
    letters: Iterable[Mapping[str, Any]],
    deliveries: Iterable[Mapping[str, Any]] = (),
    acts: Iterable[Mapping[str, Any]] = (),
) -> Story:
    """The steps of an order by time: the archive's timeline, dead letters, webhook deliveries, operators' acts."""
    all_steps = [_entry(entry) for entry in entries] + [_letter(letter) for letter in letters]
    all_steps += [step for delivery in deliveries for step in _delivery(delivery)] + [_act(act) for act in acts]
    all_steps.sort(key=lambda each: each[0])
    if not all_steps:
        return Story([], 0.0)
    begin, length = all_steps[0][0], (all_steps[-1][0] - all_steps[0][0]).total_seconds()
    steps, before = [], 0.0
    for moment, known in all_steps:
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


def _delivery(delivery: Mapping[str, Any]) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """A step for each attempt; one that failed without an attempt is a step as well."""
    known = {"place": "webhook", "type": str(delivery["event_type"]), "details": ""}
    known["endpoint_id"] = str(delivery["endpoint_id"])
    for attempt in delivery["history"]:
        code = attempt["status_code"]
        is_delivered = code is not None and code in _DELIVERED
        answer = f"answered {code}" if code else attempt["error"]
        outcome, state = ("delivered", "ok") if is_delivered else ("attempt failed", "bad")
        text = f"Webhook {outcome}: {answer} after {attempt['latency_seconds']:.2f} s"
        yield datetime.fromisoformat(attempt["at"]), known | {"text": text, "state": state}
    if not delivery["history"] and delivery["status"] == "failed":
        text = f"Webhook not sent: {str(delivery['reason']).replace('_', ' ')}"
        yield datetime.fromisoformat(delivery["created_at"]), known | {"text": text, "state": "bad"}


def _act(act: Mapping[str, Any]) -> tuple[datetime, dict[str, Any]]:
    reason = f" ({act['reason']})" if act["reason"] else ""
    is_done = act["outcome"] == DONE
    outcome = "" if is_done else f": {act['outcome'] or 'outcome unknown'}"
    known = {"place": "console", "type": str(act["kind"]), "text": f"By {act['name']}{reason}{outcome}"}
    return datetime.fromisoformat(act["at"]), known | {"state": "ok" if is_done else "bad", "details": ""}


def pretty(value: Any) -> str:
    """Readable JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)
