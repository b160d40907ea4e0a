"""Determines why a message was dead-lettered. Pure; it returns a result for any message.

Holdfast's consumers set headers (`common.messaging.redelivery`). Messages that the broker dead-lettered have only
`x-death`: then the body is checked like in a consumer, up to its size limit.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from common.messaging.events import CONTENT_TYPE, MAX_EVENT_BYTES, Event, InvalidEventError, from_json, rfc3339
from common.messaging.topology import DELIVERY_LIMIT as DELIVERIES
from common.schemas import is_id
from services.operations.amqp_json import MAX_TEXT, plain, text, utc
from services.operations.domain import DELIVERY_LIMIT, LETTER, REPLAY, Death

if TYPE_CHECKING:
    from datetime import datetime

    from common.messaging.raw_message import RawMessage

ATTEMPT = "holdfast-attempt"
NOT_AN_EVENT, UNKNOWN, UNDIAGNOSED = "not_an_event", "unknown", "undiagnosed"
_INVALID = f"{InvalidEventError.__module__}.{InvalidEventError.__qualname__}"
_MAX_ATTRIBUTE = 512


def diagnose(message: RawMessage, *, now: datetime) -> Death:
    """`now` replaces a missing time of death."""
    try:
        return _diagnose(message, now)
    except Exception as error:  # noqa: BLE001 - a fault of this module must not keep a letter from being filed
        return _undiagnosed(message, now, error)


def _diagnose(message: RawMessage, now: datetime) -> Death:
    by_broker = _last_death(message.headers)
    event, problem = _read(message)
    attributes = event.to_document() if event else _attributes(message.body)
    findings = _of_the_broker(message, by_broker, problem) if by_broker else _of_a_consumer(message)
    failed_at = utc(findings.pop("failed_at")) or now
    return Death(
        id=_identity(message, by_broker, findings["queue"], failed_at),
        **findings,
        failed_at=rfc3339(failed_at),
        body=message.body,
        headers={text(name): plain(value) for name, value in message.headers.items()},
        content_type=_text(message.content_type),
        content_encoding=_text(message.content_encoding),
        event_id=event.id if event else None,
        event_type=_attribute(attributes, "type"),
        subject=_attribute(attributes, "subject"),
        order_id=_attribute(attributes, "orderid"),
        correlation_id=_attribute(attributes, "correlationid"),
        trace_id=_trace_id(_attribute(attributes, "traceparent")),
        letter_id=_id_header(message, LETTER),
        replay_id=_id_header(message, REPLAY),
    )


def _of_a_consumer(message: RawMessage) -> dict[str, Any]:
    fields = {name: _header(message, f"holdfast-{name}") for name in ("queue", "reason", "error-class", "error")}
    return {
        "queue": fields["queue"] or text(message.routing_key),
        "reason": fields["reason"] or UNKNOWN,
        "error_class": fields["error-class"],
        "error": fields["error"] or ("" if fields["reason"] else "published here without a reason"),
        "traceback": _header(message, "holdfast-traceback"),
        "attempts": _count(message.headers.get(ATTEMPT)),
        "failed_at": message.headers.get("holdfast-failed-at"),
    }


def _of_the_broker(message: RawMessage, death: dict[str, Any], problem: str | None) -> dict[str, Any]:
    reason = _fields(death, "reason") or UNKNOWN
    findings = {
        "queue": _fields(death, "queue") or text(message.routing_key),
        "reason": reason,
        "error_class": "",
        "error": f"dead-lettered by the broker: {reason}",
        "traceback": "",
        "attempts": _count(message.headers.get(ATTEMPT)),
        "failed_at": death.get("time"),
    }
    if reason == DELIVERY_LIMIT:
        last = _header(message, "holdfast-error")
        findings["error"] = f"delivered more than {DELIVERIES} times and never acknowledged" + (
            f"; the last error was: {last}" if last else ": it may have killed its worker each time"
        )
        findings["error_class"] = _header(message, "holdfast-error-class")
        findings["attempts"] = _count(message.headers.get("x-delivery-count")) or DELIVERIES + 1
    elif reason == "rejected" and problem is not None:
        findings |= {"reason": NOT_AN_EVENT, "error_class": _INVALID, "error": problem[:MAX_TEXT]}
    return findings


def _undiagnosed(message: RawMessage, now: datetime, error: Exception) -> Death:
    return Death(
        id=_identity(message, {}, message.routing_key, now),
        queue=text(message.routing_key),
        reason=UNDIAGNOSED,
        error_class=f"{type(error).__module__}.{type(error).__qualname__}",
        error=text(str(error))[:MAX_TEXT],
        traceback="",
        attempts=0,
        failed_at=rfc3339(now),
        body=message.body,
        headers={"all": text(repr(message.headers))[:MAX_TEXT]},
    )


def _fields(death: dict[str, Any], name: str) -> str:
    value = death.get(name)
    return text(value)[:_MAX_ATTRIBUTE] if isinstance(value, str | bytes) else ""


def _read(message: RawMessage) -> tuple[Event | None, str | None]:
    """The event, and the error that a consumer would raise: both, if only its content type is wrong."""
    if not message.body:
        return None, "empty body"
    if len(message.body) > MAX_EVENT_BYTES:
        return None, f"larger than {MAX_EVENT_BYTES} bytes: {len(message.body)}"
    wrong_type = None
    if message.content_type != CONTENT_TYPE:
        wrong_type = f"the content type is {message.content_type or 'missing'}, not {CONTENT_TYPE}"
    try:
        event = from_json(message.body)
    except InvalidEventError as error:
        return None, "; ".join(filter(None, [wrong_type, text(str(error))]))
    return event, wrong_type


def _attributes(body: bytes) -> dict[str, Any]:
    """The fields that can be read from a malformed event, for searching."""
    if len(body) > MAX_EVENT_BYTES:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _last_death(headers: dict[str, Any]) -> dict[str, Any]:
    deaths = headers.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    return first if isinstance(first, dict) else {}


def _identity(message: RawMessage, by_broker: dict[str, Any], queue: str, failed_at: datetime) -> str:
    # The broker reports only seconds, and counts.
    fields = [queue, _header(message, REPLAY), rfc3339(failed_at), str(by_broker.get("count", ""))]
    return hashlib.sha256("\x00".join(fields).encode()).hexdigest()


def _header(message: RawMessage, name: str) -> str:
    value = message.headers.get(name)
    return text(value)[:MAX_TEXT] if isinstance(value, str | bytes) else ""


def _id_header(message: RawMessage, name: str) -> str | None:
    value = _header(message, name)
    return value if is_id(value) else None


def _attribute(attributes: dict[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    return text(value) if isinstance(value, str) and 0 < len(value) <= _MAX_ATTRIBUTE else None


def _text(value: Any) -> str | None:
    return text(value) if isinstance(value, str) else None


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**31 else 0


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else None  # noqa: PLR2004 - W3C trace context
