"""W3C trace context: the text that joins a request, its events and their consumers into one trace. Pure.

An invalid `traceparent` is ignored: it is never propagated, and never logged.
Source: https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

# Version ff and all-zero ids are invalid.
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
SAMPLED = 0x01


class Parts(NamedTuple):
    """Ids in lower-case hexadecimal."""

    trace_id: str
    span_id: str
    flags: int


def parse(text: str | None) -> Parts | None:
    """The parts of a valid `traceparent`, else None."""
    found = _FORM.fullmatch(text or "")
    return Parts(found[1], found[2], int(found[3], 16)) if found else None


def make(trace_id: str, span_id: str, *, sampled: bool) -> str:
    return f"00-{trace_id}-{span_id}-{SAMPLED if sampled else 0:02x}"


def fresh() -> str:
    """A new trace."""
    return make(secrets.token_hex(16), secrets.token_hex(8), sampled=True)


def log_ids(text: str | None) -> dict[str, str]:
    """Its fields in a log line: `trace_id` and `span_id`, or none."""
    parts = parse(text)
    return {"trace_id": parts.trace_id, "span_id": parts.span_id} if parts else {}
