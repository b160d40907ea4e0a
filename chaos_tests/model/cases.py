"""What is checked: each model within its bounds, and the mutants that must be found. Tables, nothing else.

The quick bounds are those of the suite. The wide ones are for a command that may take some minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaos_tests.model.checking import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Case:
    """A model as it is, which must hold."""

    model: str
    kind: Kind
    bounds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guarantee taken away; Spin must find the violation. `breaks` is the property that it must name."""

    model: str
    name: str
    without: str
    breaks: str
    bounds: Mapping[str, int] = field(default_factory=dict)
    kind: Kind = Kind.SHORTEST


_ONE = {"EVENTS": 1, "CRASHES": 1}
_CALM = {"EVENTS": 1, "WORKERS": 1, "CRASHES": 0, "LOSSES": 0, "FAILURES": 0, "OUTAGES": 0, "TAKEOVERS": 0}

QUICK = (
    Case("delivery", Kind.SAFETY, _ONE | {"TAKEOVERS": 0}),
    Case("delivery", Kind.SAFETY, {"EVENTS": 2, "WORKERS": 1, "CRASHES": 1, "FAILURES": 0, "OUTAGES": 0}),
    Case("delivery", Kind.LIVENESS, _ONE | {"FAILURES": 2, "TAKEOVERS": 0, "LOSSES": 0}),
)
WIDE = (
    Case("delivery", Kind.SAFETY, {"EVENTS": 1, "CRASHES": 2}),
    Case("delivery", Kind.SAFETY, {"EVENTS": 2, "CRASHES": 1, "FAILURES": 2, "LOSSES": 0, "TAKEOVERS": 0}),
    Case("delivery", Kind.LIVENESS, _ONE | {"FAILURES": 1}),
)
# What Spin says of a violation, and the property's name as the head of its model gives it.
PROPERTIES = {
    "accepted[e])||row": "kept",
    "effect[e]<=1": "once",
    "failed[e]>1": "blame",
    "accepted[e]&&(effect": "quiet",
    "acceptance cycle": "ends",
}
MUTANTS = (
    Mutant("delivery", "NO_INBOX", "the inbox", "once", _ONE),
    Mutant("delivery", "INBOX_SECOND_TRANSACTION", "inbox and effect in one transaction", "kept", _ONE),
    Mutant("delivery", "ACK_BEFORE_EFFECT", "to acknowledge after the commit", "kept", _ONE),
    Mutant("delivery", "OUTBOX_SECOND_TRANSACTION", "state and event in one transaction", "kept", _ONE),
    Mutant("delivery", "NO_CONFIRMS", "publisher confirms", "kept", _ONE),
    Mutant("delivery", "DELETE_BEFORE_CONFIRM", "to delete only what is confirmed", "kept", _ONE),
    Mutant("delivery", "NO_MANDATORY", "`mandatory`", "kept", _ONE),
    Mutant(
        "delivery",
        "ROUND_NEVER_BEGINS_AGAIN",
        "to begin again what was left for later",
        "ends",
        _CALM | {"EVENTS": 2},
        Kind.LIVENESS,
    ),
    Mutant("delivery", "LEASE_WITHOUT_END", "a lease that runs out", "quiet", _CALM | {"CRASHES": 2}),
    Mutant("delivery", "RETRY_WITHOUT_CONFIRM", "confirms of what is published again", "kept", _ONE),
    Mutant("delivery", "DROP_AFTER_RETRIES", "dead letters", "kept", _CALM | {"FAILURES": 2}),
    Mutant("delivery", "NO_REPLAY", "replaying dead letters", "quiet", _CALM | {"FAILURES": 2}),
    Mutant(
        "delivery",
        "OUTAGE_IS_AN_ERROR",
        "to count no attempt in an outage",
        "blame",
        _CALM | {"FAILURES": 1, "OUTAGES": 1},
    ),
    Mutant("delivery", "GATE_STAYS_CLOSED", "to subscribe again after an outage", "quiet", _CALM | {"OUTAGES": 1}),
)
