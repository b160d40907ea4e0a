"""A batch of messages and the broker's response to each: confirmed, refused, or none yet. Pure.

Source: https://www.rabbitmq.com/docs/confirms#publisher-confirms
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `id` is unique within a batch and identifies a returned message."""

    id: str
    routing_key: str
    body: bytes
    content_type: str | None
    headers: dict[str, Any] = field(default_factory=dict)
    content_encoding: str | None = "utf-8"


class Batch:
    """Which messages of a batch the broker has settled. Delivery tags count from 1 over the life of a channel."""

    def __init__(self, ids: Sequence[str], first_tag: int = 1) -> None:
        self._waiting = dict(enumerate(ids, first_tag))
        self._taken: set[str] = set()
        self.returned: dict[str, str] = {}  # id -> routing key

    @property
    def done(self) -> bool:
        return not self._waiting

    @property
    def confirmed(self) -> set[str]:
        return self._taken - self.returned.keys()

    def settle(self, tag: int, *, multiple: bool, taken: bool) -> None:
        tags = [waiting for waiting in self._waiting if waiting <= tag] if multiple else [tag]
        ids = [self._waiting.pop(waiting) for waiting in tags if waiting in self._waiting]
        if taken:
            self._taken.update(ids)
