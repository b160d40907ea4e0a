"""The verdict of the checker, as values and as JSON. Unknown is not a success: an incomplete check proves nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from holdfast.audit.promises import PROMISES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.audit.views import Finding

State = Literal["valid", "invalid", "unknown", "untried"]
VALID: State = "valid"
INVALID: State = "invalid"
UNKNOWN: State = "unknown"
# Not applicable: no subscribers in the system, no outage in the run. Not a failure.
UNTRIED: State = "untried"

MAX_FINDINGS, MAX_OFFENDERS = 50, 20


@dataclass(frozen=True, slots=True)
class Promise:
    """`findings` are the first ones; `broken` is their number."""

    promise: str
    verdict: State
    checked: str
    broken: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a valid run: that the faults took effect, that orders were confirmed."""

    name: str
    verdict: State
    text: str


@dataclass(frozen=True, slots=True)
class FaultSeen:
    """A fault as observed from outside. Times in seconds; `began` and `ended` from the start of the run.

    `accepted_before` counts the ten seconds before it.
    The last three are counted from `healed` (the end of all overlapping faults), None if it did not happen: until an
    order placed after it was accepted; until one that was open then, or placed later, was confirmed; until one placed
    after it was confirmed, behind the backlog.
    """

    name: str
    target: str
    began: float
    ended: float
    healed: float
    took_effect: bool | None
    evidence: str
    asked_during: int
    accepted_before: int
    accepted_during: int
    accepted_after: int
    in_doubt: int
    refused: int
    accepted_seconds: float | None
    recovery_seconds: float | None
    fresh_seconds: float | None


@dataclass(frozen=True, slots=True)
class Offender:
    """An order that violates a promise: its events and client operations, one line each, by time."""

    id: str
    findings: list[str]
    timeline: list[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    verdict: State
    promises: list[Promise]
    conditions: list[Condition]
    faults: list[FaultSeen]
    counts: dict[str, Any]
    offenders: list[Offender]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        made = asdict(self)
        for promise in made["promises"]:
            promise["text"] = PROMISES[promise["promise"]]
        return made


def worst(states: Iterable[State]) -> State:
    """The verdict of a run is that of its worst part."""
    found = set(states)
    return INVALID if INVALID in found else UNKNOWN if UNKNOWN in found else VALID
