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


def untouched(kind: Any) -> Any:
    """A class of messages that keeps body and headers as they came, where `kind` would unpack what says it is packed.

    A stranger's few bytes could otherwise become gigabytes before anybody looks at them.
    """

    class Untouched(kind):  # type: ignore[misc]  # which transport's class it is shows at run time
        def __init__(self, message: Any, channel: Any = None, **options: Any) -> None:
            headers = message.properties.pop("application_headers", None)
            super().__init__(message, channel=channel, **options)
            self.headers = headers if isinstance(headers, dict) else {}

    return Untouched
