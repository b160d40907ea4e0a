"""Orders archived events for Kafka: by position, and by `sequence` within each source and subject.

Guarantee: an event is released after its predecessor of the same source and subject, if that one is archived within
`gap_seconds`; otherwise without it, and the gap is counted: a missing event (a dead letter of the archive) must not
block its successors for ever. At most `MAX_HELD` wait; beyond that the longest-waiting one is released.
`attempt.failed` has no order: its `sequence` numbers attempts. Pure: clock and database are passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_HELD = 10_000
MAX_KNOWN = 100_000
_UNORDERED = "attempt."

Document = dict[str, Any]
Line = tuple[str, str]  # source and subject


@dataclass(slots=True)
class _Held:
    document: Document
    since: float


class Ordering:
    """Accepts events by position, returns those that are ready."""

    def __init__(self, position_of: Callable[[str, str, int], int | None], *, gap_seconds: float) -> None:
        self._position_of = position_of
        self._gap_seconds = gap_seconds
        self._last: OrderedDict[Line, int] = OrderedDict()
        self._held: dict[tuple[Line, int], _Held] = {}

    @property
    def lowest_held(self) -> int | None:
        """The lowest position that was accepted and not returned yet."""
        return min((held.document["position"] for held in self._held.values()), default=None)

    @property
    def held(self) -> int:
        return len(self._held)

    def take(self, document: Document, now: float) -> list[Document]:
        """The events that are ready because of this one."""
        if document["type"].startswith(_UNORDERED):
            return [document]
        if not self._is_next(document):
            self._held[_line(document), document["sequence"]] = _Held(document, now)
            return self._release_first() if len(self._held) > MAX_HELD else []
        return list(self._go(document))

    def overdue(self, now: float) -> list[Document]:
        """Events that have waited too long for their predecessor, with their waiting successors."""
        late = [held.document for held in self._held.values() if now - held.since >= self._gap_seconds]
        going: list[Document] = []
        for document in sorted(late, key=lambda each: each["sequence"]):
            if self._held.pop((_line(document), document["sequence"]), None):
                going += self._go(document)
        return going

    def _is_next(self, document: Mapping[str, Any]) -> bool:
        line, sequence = _line(document), document["sequence"]
        last = self._last.get(line)
        if sequence <= 1 or (last is not None and sequence <= last + 1):
            return True
        if (line, sequence - 1) in self._held:
            return False
        # It may have been published before this process started, or too long ago to be tracked.
        position = self._position_of(*line, sequence - 1)
        return position is not None and position < document["position"]

    def _go(self, document: Document) -> Iterator[Document]:
        line = _line(document)
        yield document
        sequence = document["sequence"]
        while held := self._held.pop((line, sequence + 1), None):
            yield held.document
            sequence += 1
        self._last[line] = max(sequence, self._last.get(line, 0))
        self._last.move_to_end(line)
        if len(self._last) > MAX_KNOWN:
            self._last.popitem(last=False)

    def _release_first(self) -> list[Document]:
        place = next(iter(self._held))
        return list(self._go(self._held.pop(place).document))


def _line(document: Mapping[str, Any]) -> Line:
    return document["source"], document["subject"]
