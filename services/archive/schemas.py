"""The queries and replies of the archive API."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from marshmallow import Schema, fields

from common.messaging.events import rfc3339
from common.schemas import text_field
from common.web.pagination import PageQuerySchema

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MAX_ATTRIBUTE_LENGTH = 512  # as common.messaging.events accepts it


class Moment(fields.String):
    """A moment with a zone (RFC 3339); loads into the same moment as `common.messaging.events.rfc3339` writes it."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's way
        "invalid": "Not an RFC 3339 date-time with a zone, such as 2026-01-31T12:00:00Z (in a query, + is %2B)."
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).upper()
        try:
            if _RFC_3339.fullmatch(text):
                return rfc3339(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            pass  # no such day, or beyond the calendar
        raise self.make_error("invalid")


class EventsQuerySchema(PageQuerySchema):
    subject = text_field(high=_MAX_ATTRIBUTE_LENGTH)
    type = text_field(high=_MAX_ATTRIBUTE_LENGTH, metadata={"example": "order.placed.v1"})
    source = text_field(high=_MAX_ATTRIBUTE_LENGTH, metadata={"example": "/services/orders"})
    since = Moment(metadata={"format": "date-time", "description": "events from this moment on"})


class EntrySchema(Schema):
    id = fields.String(required=True)
    type = fields.String(required=True)
    source = fields.String(required=True)
    sequence = fields.Integer(required=True, metadata={"description": "per source and subject, from 1, without gaps"})
    time = fields.String(required=True, metadata={"format": "date-time"})
    data = fields.Dict(
        required=True, metadata={"description": "as the event's contract has it: see docs/asyncapi.yaml"}
    )


class TimelineEntrySchema(EntrySchema):
    delay_seconds = fields.Float(required=True, metadata={"description": "since the entry before this one"})
    summary = fields.String(required=True, metadata={"description": "one English sentence"})


class ArchivedEventSchema(EntrySchema):
    """The attributes have their CloudEvents names; those that an event does not have are null."""

    subject = fields.String(required=True)
    correlationid = fields.String(required=True)
    causationid = fields.String(required=True, allow_none=True)
    orderid = fields.String(required=True, allow_none=True)
    traceparent = fields.String(required=True, allow_none=True)
    received_at = fields.String(required=True, metadata={"format": "date-time"})
