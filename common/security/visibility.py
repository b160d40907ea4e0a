"""Only the owner and operators may see a resource; for others it does not exist."""

from __future__ import annotations

from typing import TypeVar

from common.errors import NotFound

T = TypeVar("T")


def require_visible(item: T | None, owner_id: str | None, viewer_id: str | None, *, what: str) -> T:
    """`item`, if the viewer may see it: its owner, or a viewer without an id (an operator, or the system itself).

    Raises the same `NotFound` for a missing resource and for another customer's.
    """
    if item is None or (viewer_id is not None and owner_id != viewer_id):
        message = f"no such {what}"
        raise NotFound(message)
    return item
