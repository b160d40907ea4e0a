"""Dead letters in plain values: their data, and the allowed operations. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

AUTOMATIC = "automatic"
# Headers of a replay: the id of the dead letter, and the id of the replay.
LETTER, REPLAY = "holdfast-letter", "holdfast-replay"
# The waiting time of an undecided event, as the consumers write it: a replay keeps it.
UNDECIDED = "holdfast-undecided-seconds"
# The broker's reason for a message that repeatedly killed its worker.
DELIVERY_LIMIT = "delivery_limit"
# Every reason of the consumers, the diagnosis and the broker.
REASONS = frozenset(
    {
        *("rejected", "attempts_exhausted", "undecided", "not_an_event", "unknown", "undiagnosed"),
        *(DELIVERY_LIMIT, "expired", "maxlen"),
    }
)
# The outcomes of a replay.
PUBLISHED, NO_SUCH_QUEUE, UNPUBLISHABLE = "published", "no_such_queue", "unpublishable"


class IncompleteBodyError(RuntimeError):
    """The stored body is incomplete: it must not be replayed."""


class Status(StrEnum):
    """`filed` waits for a decision; `replaying` is in flight; `replayed` was published to its queue."""

    FILED = "filed"
    REPLAYING = "replaying"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The arrival of a message in the dead-letter queue.

    `id` is the same for each delivery of the same arrival. `event_id` is empty for a malformed event. `letter_id` and
    `replay_id` come from the message: those of the replay that returned.
    """

    id: str
    queue: str
    reason: str
    error_class: str
    error: str
    traceback: str
    attempts: int
    failed_at: str
    body: bytes
    headers: dict[str, Any]
    content_type: str | None = None
    content_encoding: str | None = None
    event_id: str | None = None
    event_type: str | None = None
    subject: str | None = None
    order_id: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    letter_id: str | None = None
    replay_id: str | None = None

    @property
    def is_replayed_automatically(self) -> bool:
        """Every message that a killed worker held counts a delivery, so each is replayed once."""
        return self.reason == DELIVERY_LIMIT and self.event_id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter of dead letters; None is any. `error` is an error's class, with or without its module."""

    queue: str | None = None
    type: str | None = None
    error: str | None = None
    order_id: str | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One replay in flight. `stored` references its body if that is not in the dead letter itself."""

    id: str
    letter_id: str
    job_id: str | None
    queue: str
    bytes: int
    stored: str | None
    headers: dict[str, Any]
    content_type: str | None
    content_encoding: str | None

    @property
    def carried(self) -> dict[str, Any]:
        """Its original plain headers, and its age, without other headers of the broker and the consumers."""
        return {
            name: value
            for name, value in self.headers.items()
            if isinstance(value, str | int) and (name == UNDECIDED or not name.startswith(("x-", "holdfast-")))
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A bulk replay: at most `rate` per second, of the dead letters stored when it was requested."""

    id: str
    by: str
    requested_at: str
    finished_at: str | None
    filter: dict[str, str] = field(default_factory=dict)
    rate: float
    total: int
    taken: int
    waiting: int
    failed: int

    @property
    def status(self) -> str:
        return "running" if self.finished_at is None or self.waiting else "done"

    @property
    def replayed(self) -> int:
        return max(0, self.taken - self.waiting - self.failed)
