"""The expected outcome of a replay, and the outcome of the last one. Pure.

A consumer does not report success: a replay that has not returned was handled, or is still being retried.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from common.messaging.events import InvalidEventError
from services.operations.console.formats import duration, short, words
from services.operations.domain import PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Entry = Mapping[str, Any]

INVALID, REFUSED, OPEN = "invalid", "refused", "open"
SETTLED_SECONDS = 10.0  # an event that fails without retries returns sooner
_REASONS_WITHOUT_RETRY = frozenset({"rejected", "not_an_event"})
_RETURNED, _REPLAYED, _REQUESTED = "returned", "replayed", "replay_requested"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`state` is the colour on the pages. Unless `is_settled`, the page refreshes soon."""

    state: str
    text: str
    is_settled: bool = True


def expected_outcome(letter: Mapping[str, Any]) -> str:
    """The expected outcome of replaying the original unchanged.

    INVALID: it always fails again. REFUSED: it fails again unless the cause was repaired.
    """
    errors = [letter["error_class"], *(entry.get("error_class", "") for entry in letter["history"])]
    if any(map(is_invalid, errors)) or letter["reason"] == "not_an_event":
        return INVALID
    return REFUSED if letter["reason"] in _REASONS_WITHOUT_RETRY else OPEN


def is_invalid(error_class: str) -> bool:
    """Whether this class of error means that the event itself is wrong."""
    return short(error_class) == InvalidEventError.__name__


def arrivals(history: Sequence[Entry]) -> int:
    """How often it was dead-lettered."""
    return sum(entry["kind"] in {"filed", _RETURNED} for entry in history)


def last_edit(history: Sequence[Entry]) -> Entry | None:
    """The request of the last replay with an edited event; its `edited_sha256` names the event."""
    return next((entry for entry in reversed(history) if entry.get("edited_sha256")), None)


def outcome(letter: Mapping[str, Any], now: datetime | None = None) -> Outcome | None:
    """The outcome of the last replay; None if there was none, or the dead letter was discarded since."""
    history: Sequence[Entry] = letter["history"]
    requests = [index for index, entry in enumerate(history) if entry["kind"] == _REQUESTED]
    if not requests or letter["status"] == "discarded":
        return None
    request, queue = history[requests[-1]], letter["queue"]
    later = {entry["kind"]: entry for entry in history[requests[-1] + 1 :]}
    what = "The edited event" if request.get("edited_sha256") else "The event"
    if back := later.get(_RETURNED):
        return Outcome("bad", f"{what} was replayed and failed again in {queue}: {back['error']}")
    if (sent := later.get(_REPLAYED)) is None:
        return Outcome("warn", f"The replay is requested. {what} is on its way to {queue}.", is_settled=False)
    if sent["outcome"] != PUBLISHED:
        return Outcome("bad", f"{what} could not be sent to {queue}: {words(sent['outcome'])}.")
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(sent["at"])).total_seconds()
    if seconds < SETTLED_SECONDS:
        return Outcome("warn", f"{what} was sent to {queue}. Waiting to see whether it fails again.", is_settled=False)
    text = f"{what} was replayed {duration(seconds)} ago and has not failed again: it was handled, or is being retried."
    return Outcome("ok", text)
