"""Dead letters in plain values: what is known of one, and what may be done with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

AUTOMATIC = "automatic"
# Headers of a replay: which letter it is of, and which of that letter's replays it is.
LETTER, REPLAY = "holdfast-letter", "holdfast-replay"
# How long the event has waited for somebody's decision, as the consumers write it: a replay does not make it younger.
UNDECIDED = "holdfast-undecided-seconds"
# What the broker says of a message that killed its worker again and again.
DELIVERY_LIMIT = "delivery_limit"
# Every reason that our consumers, our diagnosis and the broker give.
REASONS = frozenset(
    {
        *("rejected", "attempts_exhausted", "undecided", "not_an_event", "unknown", "undiagnosed"),
        *(DELIVERY_LIMIT, "expired", "maxlen"),
    }
)
# What becomes of a replay.
PUBLISHED, NO_SUCH_QUEUE, UNPUBLISHABLE = "published", "no_such_queue", "unpublishable"


class IncompleteBodyError(RuntimeError):
    """What is stored is not the whole body: it must not be replayed."""


class Status(StrEnum):
    """`filed` waits for somebody to decide; `replaying` is on its way back; `replayed` was handed to its queue."""

    FILED = "filed"
    REPLAYING = "replaying"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One message's arrival among the dead letters.

    `id` is the same for the same arrival, however often it is delivered. `event_id` is empty for what is no event.
    `letter_id` and `replay_id` are those that the message carried: of the replay that it is a return of.
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
    def earns_a_replay(self) -> bool:
        """Whoever was in a worker's hands when it was killed is charged for it: each gets one more chance."""
        return self.reason == DELIVERY_LIMIT and self.event_id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters are meant; None is any. `error` is an error's class, with or without its module."""

    queue: str | None = None
    type: str | None = None
    error: str | None = None
    order_id: str | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One letter on its way back to its queue. `stored` names its body if that is not in the letter itself."""

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
        """The plain headers that it came with, and its age: not what else the broker and our consumers wrote."""
        return {
            name: value
            for name, value in self.headers.items()
            if isinstance(value, str | int) and (name == UNDECIDED or not name.startswith(("x-", "holdfast-")))
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A bulk replay: at most `rate` letters a second, of those on file when it was asked for."""

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
