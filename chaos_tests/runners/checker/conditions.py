"""Checks that a run was a valid test: the effects around each fault, and the required conditions. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from chaos_tests.runners.checker.outages import healed_at, unexpected_letters
from chaos_tests.runners.checker.verdict import (
    INVALID,
    UNKNOWN,
    UNTRIED,
    VALID,
    Condition,
    FaultSeen,
    State,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from chaos_tests.runners.checker.operations import Operations
    from chaos_tests.runners.checker.outages import Recoveries
    from chaos_tests.runners.checker.snapshot import Snapshot
    from chaos_tests.runners.history import Fault

STALL_SECONDS = 2.0
SPIN_SECONDS = 10.0
FEW_TROUBLES = 1
BEFORE_SECONDS = 10.0
MOMENT_SECONDS = 1.0  # a shorter fault may fall between two orders
EVERY_KIND = ("confirmed", "payment_declined", "out_of_stock", "customer_request")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The required conditions of a run. `recovery_seconds` is the limit of each recovery.

    `parked_a_second` limits the mean over `SPIN_SECONDS`: in an outage a worker parks a batch of deliveries at once,
    each for seconds; a loop parks on and on.
    """

    orders: int = 20
    orders_of_every_kind: int = 300
    recovery_seconds: float = 30.0
    faults_that_duplicate: int = 5
    parked_a_second: float = 100.0


def around(known: Operations, recoveries: Recoveries) -> list[FaultSeen]:
    """Each fault, from the clients' view."""
    troubles = sorted(known.troubles)
    start = known.run["t_mono"]
    return [_recovery(known, fault, recoveries, troubles, start) for fault in known.faults]


def _recovery(
    known: Operations, fault: Fault, recoveries: Recoveries, troubles: list[tuple[float, str]], start: float
) -> FaultSeen:
    healed = healed_at(fault, known.faults)
    struck = _between(troubles, fault.began, fault.ended + 1)
    usual = len(_between(troubles, 2 * fault.began - fault.ended - 1, fault.began))
    in_doubt, refused = struck.count("info"), struck.count("fail")
    took_effect, evidence = fault.took_effect, fault.evidence
    if took_effect is None and len(struck) > FEW_TROUBLES + 2 * usual:  # a shorter stall is normal on a busy machine
        reported = ((in_doubt, "in doubt"), (refused, "refused"))
        took_effect, evidence = True, "operations: " + ", ".join(f"{count} {what}" for count, what in reported if count)
    if took_effect is None and (stall := _longest_stall(recoveries.confirmed_at, fault)) >= STALL_SECONDS:
        took_effect, evidence = True, f"no order was confirmed for {stall:.1f} s"
    at, asked = recoveries.accepted_at, recoveries.asked_at
    return FaultSeen(
        name=fault.name,
        target=fault.target,
        began=round(fault.began - start, 3),
        ended=round(fault.ended - start, 3),
        healed=round(healed - start, 3),
        took_effect=took_effect,
        evidence=evidence,
        asked_during=bisect_right(asked, fault.ended) - bisect_left(asked, fault.began),
        accepted_before=bisect_left(at, fault.began) - bisect_left(at, fault.began - BEFORE_SECONDS),
        accepted_during=bisect_right(at, fault.ended) - bisect_left(at, fault.began),
        accepted_after=len(at) - bisect_right(at, healed),
        in_doubt=in_doubt,
        refused=refused,
        accepted_seconds=_since(healed, recoveries.accepted_after(healed)),
        recovery_seconds=_since(healed, recoveries.confirmed_after(healed)),
        fresh_seconds=_since(healed, recoveries.fresh_after(healed)),
    )


def _since(moment: float, later: float | None) -> float | None:
    return None if later is None else round(later - moment, 3)


def _between(troubles: list[tuple[float, str]], began: float, ended: float) -> list[str]:
    return [kind for _, kind in troubles[bisect_left(troubles, (began, "")) : bisect_right(troubles, (ended, "~"))]]


def _longest_stall(confirmed_at: list[float], fault: Fault) -> float:
    """The longest time without a confirmed order that reaches into the window."""
    inside = confirmed_at[bisect_left(confirmed_at, fault.began) : bisect_right(confirmed_at, fault.ended)]
    return max(after - before for before, after in pairwise([fault.began, *inside, fault.ended]))


def conditions(
    known: Operations, snapshot: Snapshot, seen: list[FaultSeen], statuses: Counter[str], thresholds: Thresholds
) -> Iterator[Condition]:
    """Every condition, with its result."""
    yield _whole(known)
    drained = f"nothing was on its way any more after {snapshot.drain_seconds:.0f} s"
    waiting = f"not within {snapshot.drain_seconds:.0f} s: {snapshot.waiting}"
    yield Condition("The system came to rest", *((VALID, drained) if snapshot.drained else (INVALID, waiting)))
    accepted = sum(bool(purchase.ids) for purchase in known.purchases.values())
    enough: State = VALID if accepted >= thresholds.orders else UNKNOWN
    yield Condition("Enough orders were accepted", enough, f"{accepted:,}; at least {thresholds.orders:,} are needed")
    yield _every_kind(statuses, accepted, thresholds)
    unexpected = unexpected_letters(known, snapshot)
    dead = f"{len(snapshot.letters)} dead letters in all, {unexpected} of them unexpected"
    yield Condition("Nothing died that should not have", INVALID if unexpected else VALID, dead)
    yield _duplicates(known, thresholds)
    yield _spinning(known, thresholds)
    if seen:
        yield from _of_faults(known, seen, thresholds)


def _whole(known: Operations) -> Condition:
    if known.end is None or known.torn:
        what = "it has no end" if known.end is None else f"{known.torn} lines are torn"
        return Condition("The history is whole", UNKNOWN, what)
    operations = sum(known.counts.values())
    return Condition("The history is whole", VALID, f"{operations:,} operations, ended by: {known.end['reason']}")


def _every_kind(statuses: Counter[str], accepted: int, thresholds: Thresholds) -> Condition:
    text = ", ".join(f"{statuses[kind]:,} {kind.replace('_', ' ')}" for kind in EVERY_KIND)
    state: State = VALID
    if not all(statuses[kind] for kind in EVERY_KIND):
        state = UNKNOWN if accepted >= thresholds.orders_of_every_kind else UNTRIED
    return Condition("Orders ended in every way there is", state, text)


def _duplicates(known: Operations, thresholds: Thresholds) -> Condition:
    name = "Duplicates were delivered"
    grown = known.grown("duplicates")
    if grown is None:
        return Condition(name, UNTRIED, "what the workers count was not to be seen")
    delivered = sum(grown.values())
    if delivered:
        return Condition(name, VALID, f"at least {delivered:,} deliveries came again, and each was dropped")
    state = UNKNOWN if len(known.faults) >= thresholds.faults_that_duplicate else UNTRIED
    return Condition(name, state, "no delivery came twice, so nothing had to be dropped")


def _spinning(known: Operations, thresholds: Thresholds) -> Condition:
    """Whether deliveries were requeued in a loop instead of waiting."""
    name = "Nothing went round in circles"
    counted = [sample for sample in known.samples if sample.get("deliveries") is not None]
    if len(counted) < 2:
        return Condition(name, UNTRIED, "what the workers count was not to be seen")
    rate = max(_rates(counted))
    state: State = VALID if rate <= thresholds.parked_a_second else INVALID
    text = f"at most {rate:.1f} deliveries a second were put back to wait, over {SPIN_SECONDS:.0f} s"
    return Condition(name, state, text)


def _rates(samples: list[dict[str, Any]]) -> Iterator[float]:
    """Deliveries put back to wait per second, over the `SPIN_SECONDS` before each sample; samples are by their time."""
    times = [sample["t_mono"] for sample in samples]
    counts = [sum(sample["deliveries"].get(outcome, 0) for outcome in ("parked", "retried")) for sample in samples]
    for last in range(1, len(samples)):
        first = min(bisect_left(times, times[last] - SPIN_SECONDS), last - 1)
        yield (counts[last] - counts[first]) / max(times[last] - times[first], SPIN_SECONDS)


def _of_faults(known: Operations, seen: list[FaultSeen], thresholds: Thresholds) -> Iterator[Condition]:
    missed = [fault.name for fault in seen if not fault.took_effect]
    checked = f"not seen: {_names(missed)}" if missed else f"all {len(seen)} took effect"
    yield Condition("Every fault took effect", UNKNOWN if missed else VALID, checked)
    first = seen[0].accepted_before
    yield Condition(
        "Orders went through before the first fault",
        VALID if first else UNKNOWN,
        f"{first:,} were accepted just before",
    )
    yield _during(known, seen)
    yield _recovered(known, seen, thresholds)


def _during(known: Operations, seen: list[FaultSeen]) -> Condition:
    name = "Orders went through during faults that must not stop them"
    held = [each for fault, each in zip(known.faults, seen, strict=True) if fault.accepts]
    if not held:
        return Condition(name, UNTRIED, "no fault of that kind")
    stopped = [each.name for each in held if not each.accepted_during and each.asked_during]
    if stopped:
        return Condition(name, INVALID, f"none was accepted during {_names(stopped)}")
    unasked = [each for each in held if not each.asked_during]
    asked = len(held) - len(unasked)
    if owed := [each.name for each in unasked if not asked or each.ended - each.began >= MOMENT_SECONDS]:
        return Condition(name, UNKNOWN, f"none was asked for during {_names(owed)}")
    moments = f"; {len(unasked)} were over before one was asked for" if unasked else ""
    return Condition(name, VALID, f"{sum(each.accepted_during for each in held):,} during {asked} of them{moments}")


def _recovered(known: Operations, seen: list[FaultSeen], thresholds: Thresholds) -> Condition:
    name = "Orders went through again after every fault"
    late: list[str] = []
    unseen: list[str] = []
    for fault, each in zip(known.faults, seen, strict=True):
        if each.recovery_seconds is None:
            watched = known.last - healed_at(fault, known.faults)
            (late if watched > thresholds.recovery_seconds else unseen).append(each.name)
        elif each.recovery_seconds > thresholds.recovery_seconds:
            late.append(each.name)
    bound = f"{thresholds.recovery_seconds:.0f} s"
    if late:
        return Condition(name, INVALID, f"none was confirmed within {bound} of {_names(late)}")
    if unseen:
        return Condition(name, UNKNOWN, f"the run ended before any was confirmed after {_names(unseen)}")
    slowest = max(seen, key=lambda each: each.recovery_seconds or 0.0)
    return Condition(name, VALID, f"the slowest in {slowest.recovery_seconds:.1f} s ({slowest.name}); bound {bound}")


def _names(names: list[str]) -> str:
    shown = ", ".join(dict.fromkeys(names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
