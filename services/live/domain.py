"""Cursors and messages of a stream. Pure.

A cursor is the id of a streamed event: the event's position in the archive, and for events that are sent after their
order's `order.placed` a number within that position (docs/decisions/0021). Cursors of one stream only grow.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CURSOR = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([1-9][0-9]{0,5}))?", re.ASCII)
_SHOWN = ("type", "source", "subject", "sequence", "time", "orderid")


class Cursor(NamedTuple):
    """A place in a stream."""

    position: int
    part: int = 0

    def __str__(self) -> str:
        return f"{self.position}.{self.part}" if self.part else f"{self.position}"


class Owner(NamedTuple):
    """The customer of an order, and the position of its `order.placed`."""

    customer_id: str
    position: int


@dataclass(frozen=True, slots=True)
class Message:
    """One event for a client."""

    cursor: Cursor
    frame: bytes


def parse_cursor(text: str) -> Cursor | None:
    """Parse the cursor `text`; None if it is malformed."""
    found = _CURSOR.fullmatch(text)
    return Cursor(int(found[1]), int(found[2] or 0)) if found else None


def message(document: Mapping[str, Any], cursor: Cursor | None = None) -> Message:
    """An archived event as a message; its cursor is its position if none is given."""
    cursor = cursor or Cursor(document["position"])
    attributes = {name: document[name] for name in _SHOWN if name in document}
    # The data is JSON text in one line already.
    shown = json.dumps({"id": document["_id"]} | attributes, separators=(",", ":"))[:-1]
    return Message(cursor, f'id: {cursor}\ndata: {shown},"data":{document["data"]}}}\n\n'.encode())


def customer_messages(
    document: Mapping[str, Any], owner: Owner | None, early: Iterable[Mapping[str, Any]]
) -> list[Message]:
    """The messages that an archived event adds to the stream of its order's customer.

    None while the customer is unknown; with the order's `order.placed` also the events archived before it.
    """
    position = document["position"]
    if owner is None or position < owner.position:
        return []
    own = [message(document)]
    if position == owner.position:
        own += [message(each, Cursor(position, part)) for part, each in enumerate(early, 1)]
    return own


def opening(cursor: Cursor, retry_ms: int) -> bytes:
    """The first bytes of a stream: its start, so that a client that received no event yet can resume there."""
    return f"retry: {retry_ms}\nid: {cursor}\n\n".encode()


def progress(cursor: Cursor) -> bytes:
    """A heartbeat with the position of the stream, without an event."""
    return f": heartbeat\nid: {cursor}\n\n".encode()


def ending(reason: str) -> bytes:
    return f'event: end\ndata: {{"reason":"{reason}"}}\n\n'.encode()
