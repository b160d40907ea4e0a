"""A message exactly as the broker delivered it: any bytes, any headers, from any publisher."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessage:
    """`body` is what was published, byte for byte; `routing_key` is the last one it was routed with."""

    body: bytes
    routing_key: str
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    content_encoding: str | None = None


def untouched(kind: Any) -> Any:
    """A subclass of `kind` that keeps body and headers as they came, and does not decompress.

    Otherwise a few bytes of any publisher could become gigabytes before they are checked.
    """

    class Untouched(kind):  # type: ignore[misc]  # which transport's class it is shows at run time
        def __init__(self, message: Any, channel: Any = None, **options: Any) -> None:
            headers = message.properties.pop("application_headers", None)
            super().__init__(message, channel=channel, **options)
            self.headers = headers if isinstance(headers, dict) else {}

    return Untouched
