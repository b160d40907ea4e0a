"""Whether the system itself says that it is behind: then what is still open is late, not lost.

Pure. The bounds are those at which the sagas' own clock stands still, so the audit waits for no more than they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LAG_SECONDS = 3.0
BACKLOG_MESSAGES = 200


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, and for how long it has."""

    seconds: float
    reason: str

    def __str__(self) -> str:
        return f"system is behind by {self.seconds:.0f} s ({self.reason})"


def backlog(system: dict[str, Any]) -> Backlog | None:
    """The worst of what waits in a system view (`GET /api/v1/system`); None if the system keeps up."""
    found = [*_outboxes(system), *_queues(system)]
    if system["held_up"]:
        found.append(Backlog(0, "sagas are held up"))
    return max(found, key=lambda each: each.seconds, default=None)


def _outboxes(system: dict[str, Any]) -> Iterator[Backlog]:
    for outbox in system["outboxes"]:
        if (outbox["seconds"] or 0) > LAG_SECONDS:
            yield Backlog(outbox["seconds"], f"{outbox['rows']} events in the outbox of {outbox['database']}")


def _queues(system: dict[str, Any]) -> Iterator[Backlog]:
    for queue in system["queues"] or ():
        messages = queue["messages"] or 0
        has_nobody = messages > 0 and queue["consumers"] == 0
        if queue["name"].endswith(".events") and (messages > BACKLOG_MESSAGES or has_nobody):
            yield Backlog(queue["not_empty_seconds"], f"{messages} messages in {queue['name']}")
