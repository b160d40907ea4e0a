"""The event envelope: CloudEvents 1.0 in structured JSON, and the contracts that define events.

`Event` is the envelope. A `Contract` is an event type with the schema of its data: producers create events through it,
so no event violates its own schema. Extensions used: `correlationid`, `causationid`, `orderid`, `sequence` (per source
and subject, from 1, without gaps) and `traceparent` (CloudEvents' distributed tracing extension).
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import uuid_utils.compat as uuid_utils
from marshmallow import ValidationError

from common.errors import Rejected
from common.strict_json import MalformedJsonError, finite_float, levels, no_constant

if TYPE_CHECKING:
    from marshmallow import Schema

CONTENT_TYPE = "application/cloudevents+json"
MAX_EVENT_BYTES = 256 * 1024
MAX_DEPTH = 64
_TYPE = re.compile(r"[a-z_]+\.[a-z_]+\.v[1-9][0-9]{0,3}")
# Canonical (RFC 9562): another spelling would be a different id for consumers that compare texts.
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REQUIRED_TEXT = ("id", "source", "type", "subject", "time", "correlationid")
_OPTIONAL_TEXT = ("causationid", "orderid", "traceparent")


class InvalidEventError(Rejected):
    """These bytes are not an event, or its data violates the contract of its type."""

    code = "invalid_event"


def new_id() -> str:
    """A UUIDv7 (RFC 9562): unique, and ordered by time of creation."""
    return str(uuid_utils.uuid7())


def utc_now() -> datetime:
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2026-01-31T12:00:00.000000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class MessageContext:
    """What an event inherits from the request or the event that caused it."""

    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    id: str
    source: str
    type: str
    subject: str
    time: str
    sequence: int
    correlationid: str
    data: dict[str, Any]
    causationid: str | None = None
    orderid: str | None = None
    traceparent: str | None = None

    @property
    def message_context(self) -> MessageContext:
        """The message context of the events that this event causes."""
        return MessageContext(self.correlationid, self.id, self.traceparent)

    def to_document(self) -> dict[str, Any]:
        """The CloudEvents JSON object; absent extensions are left out."""
        document: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "sequence": self.sequence,
            "correlationid": self.correlationid,
        }
        for name in _OPTIONAL_TEXT:
            if (value := getattr(self, name)) is not None:
                document[name] = value
        document["data"] = self.data
        return document

    def to_json(self) -> str:
        return json.dumps(self.to_document(), separators=(",", ":"), ensure_ascii=False)


def from_json(body: str | bytes) -> Event:
    """Read an event, or raise `InvalidEventError` with what is wrong with it. Unknown attributes are ignored.

    NaN, infinity and nesting deeper than `MAX_DEPTH` are rejected: what is read can be serialized and stored again.
    """
    try:
        text = body if isinstance(body, str) else body.decode()
        document = _DECODER.decode(text)
    except (ValueError, MalformedJsonError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise InvalidEventError(message) from None
    # Each level needs an opening bracket; hardly any event has enough of them to need the check.
    if text.count("{") + text.count("[") > MAX_DEPTH:
        _check_depth(document)
    return from_document(document)


def from_document(document: Any) -> Event:
    """As `from_json`, for a body that is parsed already."""
    if not isinstance(document, dict):
        raise InvalidEventError("not a JSON object")
    if document.get("specversion") != "1.0":
        raise InvalidEventError("specversion is not 1.0")
    values: dict[str, Any] = {name: _text(document, name) for name in _REQUIRED_TEXT}
    values |= {name: _text(document, name) for name in _OPTIONAL_TEXT if document.get(name) is not None}
    _check(values)
    sequence, data = document.get("sequence"), document.get("data")
    if type(sequence) is not int or not 1 <= sequence < 2**63:
        raise InvalidEventError("sequence is not a positive integer")
    if not isinstance(data, dict):
        raise InvalidEventError("data is not a JSON object")
    return Event(**values, sequence=sequence, data=data)


@dataclass(frozen=True, slots=True)
class Contract:
    """An event type, its publisher, and the schema of its data."""

    type: str
    source: str
    schema: Schema
    summary: str

    def event(
        self,
        *,
        subject: str,
        sequence: int,
        data: dict[str, Any],
        message_context: MessageContext,
        order_id: str | None = None,
    ) -> Event:
        """A new event, now. Raises `InvalidEventError` if `data` violates the contract."""
        problems = self.schema.validate(data)
        if problems:
            message = f"{self.type}: {problems}"
            raise InvalidEventError(message)
        return Event(
            id=new_id(),
            source=self.source,
            type=self.type,
            subject=subject,
            time=rfc3339(utc_now()),
            sequence=sequence,
            correlationid=message_context.correlation_id,
            causationid=message_context.causation_id,
            orderid=order_id,
            traceparent=message_context.traceparent,
            data=data,
        )


def read(schema: Schema, event: Event) -> dict[str, Any]:
    """The data of a foreign event as `schema` reads it. Raises `InvalidEventError`: no retry can fix it."""
    try:
        values: dict[str, Any] = schema.load(event.data)
    except ValidationError as error:
        message = f"{event.type}: {error.messages}"
        raise InvalidEventError(message) from None
    return values


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 512 or "\x00" in value:  # noqa: PLR2004 - a bound
        message = f"{name} is not a text of 1 to 512 characters"
        raise InvalidEventError(message)
    try:
        value.encode()
    except UnicodeEncodeError:
        message = f"{name} holds a lone surrogate"
        raise InvalidEventError(message) from None
    return value


def _check(values: dict[str, Any]) -> None:
    if not _TYPE.fullmatch(values["type"]):
        raise InvalidEventError("type is not of the form thing.happened.v1")
    if not _ID.fullmatch(values["id"]):
        raise InvalidEventError("id is not a UUID in its canonical form")
    try:
        moment = datetime.fromisoformat(values["time"])
        moment.astimezone(UTC)  # at either end of the calendar the moment may not exist
    except (ValueError, OverflowError) as error:
        message = f"time: {error}"
        raise InvalidEventError(message) from None
    if moment.tzinfo is None:
        raise InvalidEventError("time has no zone")


def _check_depth(document: Any) -> None:
    if next(islice(levels(document), MAX_DEPTH, None), None) is not None:
        message = f"nested deeper than {MAX_DEPTH} levels"
        raise InvalidEventError(message)


_DECODER = json.JSONDecoder(parse_float=finite_float, parse_constant=no_constant)
