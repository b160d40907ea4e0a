"""Converts AMQP values to plain JSON, so that any header can be stored and shown. Pure."""

from __future__ import annotations

import base64
import math
from datetime import UTC, datetime
from typing import Any

from common.messaging.events import rfc3339

MAX_TEXT = 8_000
MAX_DEPTH = 16
_LONG = 2**63


def plain(value: Any, depth: int = 0) -> Any:
    """Text, numbers, truth, lists and objects; bytes that are not UTF-8 in base64; others by their Python
    representation.
    """
    if isinstance(value, str | bytes):
        return text(value)
    if depth < MAX_DEPTH and isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if depth < MAX_DEPTH and isinstance(value, dict):
        return {text(str(name)): plain(item, depth + 1) for name, item in value.items()}
    return value if _is_json(value) else _shown(value)


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (isinstance(value, int) and -_LONG <= value < _LONG)


def _shown(value: Any) -> str:
    moment = utc(value)
    return rfc3339(moment) if moment else text(str(value))[:MAX_TEXT]


def text(value: str | bytes) -> str:
    """A text encodable as UTF-8: half a surrogate pair becomes an escape."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return f"base64:{base64.b64encode(value).decode()}"
    return value.encode("utf-8", "backslashreplace").decode()


def utc(value: Any) -> datetime | None:
    """A time, from RFC 3339 text or from the AMQP library's timestamp (UTC without a zone)."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
