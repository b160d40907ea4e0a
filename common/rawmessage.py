"""A message exactly as the broker gave it: any bytes, any headers, whoever published it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessage:
    """`body` is what was published, byte for byte; `routing_key` is the last one it travelled by."""

    body: bytes
    routing_key: str
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    content_encoding: str | None = None
