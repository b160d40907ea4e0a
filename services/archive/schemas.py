"""The queries and replies of the archive API."""

from __future__ import annotations

from marshmallow import Schema, fields

from common.schemas import Moment, text_field
from common.web.pagination import PageQuerySchema

_MAX_ATTRIBUTE_LENGTH = 512  # as common.messaging.events accepts it


class EventsQuerySchema(PageQuerySchema):
    subject = text_field(high=_MAX_ATTRIBUTE_LENGTH)
    type = text_field(high=_MAX_ATTRIBUTE_LENGTH, metadata={"example": "order.placed.v1"})
    source = text_field(high=_MAX_ATTRIBUTE_LENGTH, metadata={"example": "/services/orders"})
    since = Moment(metadata={"format": "date-time", "description": "events from this time on"})


class EntrySchema(Schema):
    id = fields.String(required=True)
    type = fields.String(required=True)
    source = fields.String(required=True)
    sequence = fields.Integer(required=True, metadata={"description": "per source and subject, from 1, without gaps"})
    time = fields.String(required=True, metadata={"format": "date-time"})
    data = fields.Dict(
        required=True, metadata={"description": "as defined by the event's contract: see docs/asyncapi.yaml"}
    )


class TimelineEntrySchema(EntrySchema):
    delay_seconds = fields.Float(required=True, metadata={"description": "since the entry before this one"})
    summary = fields.String(required=True, metadata={"description": "one English sentence"})


class ArchivedEventSchema(EntrySchema):
    """The attributes have their CloudEvents names; missing ones are null."""

    subject = fields.String(required=True)
    correlationid = fields.String(required=True)
    causationid = fields.String(required=True, allow_none=True)
    orderid = fields.String(required=True, allow_none=True)
    traceparent = fields.String(required=True, allow_none=True)
    received_at = fields.String(required=True, metadata={"format": "date-time"})
