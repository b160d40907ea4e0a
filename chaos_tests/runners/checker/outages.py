"""P5 and P7, checked by dead letters and failed attempts, and the recovery times. Pure."""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from holdfast.audit.views import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_tests.runners.checker.operations import Operations
    from chaos_tests.runners.checker.snapshot import Snapshot
    from chaos_tests.runners.history import Fault

AFTERMATH_SECONDS = 5.0
OPEN = frozenset({"pending", "reserved"})
ON_FILE = frozenset({"filed", "replaying"})


def letters_have_reasons(snapshot: Snapshot) -> Iterator[Finding]:
    """P5: every dead letter has a reason."""
    for letter in snapshot.letters:
        if not letter.get("reason") or not letter.get("queue"):
            yield Finding(
                "P5", letter.get("order_id") or letter["id"], f"a dead letter without a reason: {letter['id']}"
            )


def outage_is_no_error(known: Operations, snapshot: Snapshot) -> Iterator[Finding]:
    """P7: during an outage no attempt is used up, and there are no unintended dead letters."""
    windows = [fault for fault in known.faults if fault.outage]
    expected = sum(fault.dead_letters for fault in known.faults)
    dead = [letter for letter in snapshot.letters if letter["status"] in ON_FILE]
    if len(dead) > expected:
        for letter in dead:
            if fault := _during(windows, known.mono(_wall(letter["failed_at"]))):
                text = (
                    f"{letter.get('event_type')} died in {letter['queue']} during {fault.name}: {letter['error_class']}"
                )
                yield Finding("P7", letter.get("order_id") or letter["id"], text)
    for view in snapshot.orders.values():
        for event in view.events:
            if event.type == "attempt.failed.v1" and (fault := _during(windows, known.mono(_wall(event.time)))):
                what = f"{event.data.get('event_type')}: {event.data.get('error_class')}"
                yield Finding("P7", view.id, f"an attempt was used up in {event.source} during {fault.name}: {what}")


def unexpected_letters(known: Operations, snapshot: Snapshot) -> int:
    """The number of stored dead letters beyond the intended ones."""
    dead = sum(letter["status"] in ON_FILE for letter in snapshot.letters)
    return max(0, dead - sum(fault.dead_letters for fault in known.faults))


class Recoveries:
    """When orders were accepted and confirmed after a time, from the clients' view."""

    def __init__(self, known: Operations) -> None:
        accepted, fresh, resumed = [], [], []
        for purchase in known.purchases.values():
            answered = min((at for _, at, kind, _ in purchase.attempts if kind == "ok"), default=None)
            if answered is None:
                continue
            accepted.append((purchase.began, answered))
            seen = sorted(each for key in purchase.ids if key in known.sights for each in known.sights[key].seen)
            confirmed = min((at for _, at, status, *_ in seen if status == "confirmed"), default=None)
            if confirmed is not None:
                still_open = max((sent for sent, _, status, *_ in seen if status in OPEN), default=purchase.began)
                fresh.append((purchase.began, confirmed))
                resumed.append((max(still_open, purchase.began), confirmed))
        self._accepted, self._fresh, self._resumed = _Firsts(accepted), _Firsts(fresh), _Firsts(resumed)
        self.confirmed_at = sorted(at for _, at in fresh)
        self.accepted_at = sorted(at for _, at in accepted)
        self.asked_at = sorted(sent for purchase in known.purchases.values() for sent, *_ in purchase.attempts)

    def accepted_after(self, moment: float) -> float | None:
        """When the first order that was placed after `moment` was accepted."""
        return self._accepted.after(moment)

    def confirmed_after(self, moment: float) -> float | None:
        """When the first order that was open or not yet placed at `moment` was seen confirmed."""
        return self._resumed.after(moment)

    def fresh_after(self, moment: float) -> float | None:
        """When the first order placed after `moment` was seen confirmed, after the backlog."""
        return self._fresh.after(moment)


class _Firsts:
    def __init__(self, pairs: list[tuple[float, float]]) -> None:
        pairs.sort()
        self._began = [began for began, _ in pairs]
        self._first = list(accumulate((at for _, at in reversed(pairs)), min))[::-1]

    def after(self, moment: float) -> float | None:
        index = bisect_left(self._began, moment)
        return self._first[index] if index < len(self._first) else None


def healed_at(fault: Fault, faults: list[Fault]) -> float:
    """When this fault and all overlapping ones were over."""
    end = fault.ended
    while (later := max((f.ended for f in faults if f.began <= end and f.ended > end), default=end)) > end:
        end = later
    return end


def _during(windows: list[Fault], moment: float) -> Fault | None:
    return next((f for f in windows if f.began <= moment <= f.ended + AFTERMATH_SECONDS), None)


def _wall(text: Any) -> float:
    return datetime.fromisoformat(str(text)).timestamp()
