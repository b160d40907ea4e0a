"""Whether the system reports a backlog: then open orders are late, not lost.

Pure. The limits are those at which the saga clock stops, so the audit waits for the same conditions.
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
    """The reason of a backlog, and its age."""

    seconds: float
    reason: str

    def __str__(self) -> str:
        return f"system is behind by {self.seconds:.0f} s ({self.reason})"


def backlog(system: dict[str, Any]) -> Backlog | None:
    """The oldest backlog in a system view (`GET /api/v1/system`); None if there is none."""
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
