"""The history of one order on a time scale: its events, failed attempts, dead letters, webhooks and operators' acts.
Pure.

The oldest step comes first. The scale omits the wait for an operator: an act minutes later would squeeze the rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.operations.operator_actions import DONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


WIDTH = 1000.0
_DELIVERED = range(200, 300)
_BAD = frozenset({"payment.declined.v1", "stock.rejected.v1", "attempt.failed.v1"})
_WARN = frozenset({"order.cancelled.v1", "payment.refunded.v1"})


@dataclass(frozen=True, slots=True)
class Step:
    """`seconds` after the order was placed; `start` and `end` are its position on the scale, up to WIDTH.

    An operator's act has no extent: the time before it is not on the scale.
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
    is_act: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """`seconds` is the length of the scale."""

    steps: list[Step]
    seconds: float
    has_acts: bool = False


def build(
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
    return Story(*_on_scale(all_steps), has_acts=any(known.get("is_act") for _, known in all_steps))


def _on_scale(all_steps: Sequence[tuple[datetime, dict[str, Any]]]) -> tuple[list[Step], float]:
    """The steps, and how many seconds the scale has."""
    begin, before, places = all_steps[0][0], all_steps[0][0], [0.0]
    for moment, known in all_steps:
        delay = 0.0 if known.get("is_act") else (moment - before).total_seconds()
        places.append(places[-1] + delay)
        before = moment
    length, steps = places[-1], []
    for number, (moment, known) in enumerate(all_steps):
        start, end = (place / length * WIDTH if length else 0.0 for place in places[number : number + 2])
        delay = (moment - all_steps[max(0, number - 1)][0]).total_seconds()
        seconds = (moment - begin).total_seconds()
        steps.append(Step(seconds=seconds, delay_seconds=delay, start=start, end=end, **known))
    return steps, length


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
    result = f": {act['result']}" if act.get("result") else ""
    known: dict[str, Any] = {"place": "console", "type": str(act["kind"])}
    known["text"] = f"By {act['name']}{reason}{outcome}{result}"
    known |= {"state": "ok" if is_done else "bad", "details": "", "is_act": True}
    return datetime.fromisoformat(act["at"]), known


def pretty(value: Any) -> str:
    """Readable JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)
