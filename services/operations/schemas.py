"""The bodies, queries and replies of the operations API."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from common.schemas import StrictSchema, text_field
from common.web.pagination import PageQuerySchema
from services.operations.domain import Status

STATUSES = [status.value for status in Status]
MAX_NAME, MAX_REASON = 512, 500
MAX_RATE = 1000.0
_MOMENT = {"format": "date-time"}
_ERROR = {"description": "an error's class, with or without its module", "example": "common.errors.Rejected"}


class LettersQuerySchema(PageQuerySchema):
    queue = text_field(high=MAX_NAME, metadata={"example": "orders.events"})
    type = text_field(high=MAX_NAME, metadata={"description": "the event's type", "example": "order.placed.v1"})
    error = text_field(high=MAX_NAME, metadata=_ERROR)
    status = fields.String(validate=validate.OneOf(STATUSES))


class ReplaySchema(StrictSchema):
    event = fields.Dict(
        keys=fields.String(),
        metadata={"description": "a CloudEvents document to send instead; the original is kept"},
    )


class DiscardSchema(StrictSchema):
    reason = text_field(high=MAX_REASON, required=True)


class BulkReplaySchema(StrictSchema):
    queue = text_field(high=MAX_NAME)
    type = text_field(high=MAX_NAME, metadata={"description": "the event's type"})
    error = text_field(high=MAX_NAME, metadata=_ERROR)
    rate = fields.Float(
        load_default=50.0,
        allow_nan=False,
        validate=validate.Range(min=0.1, max=MAX_RATE),
        metadata={"description": "dead letters per second"},
    )


class LetterSchema(Schema):
    """A dead letter in the list. Missing information is null."""

    id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    queue = fields.String(
        required=True, metadata={"description": "the queue in which it failed, and to which a replay goes"}
    )
    reason = fields.String(required=True)
    error_class = fields.String(required=True)
    error = fields.String(required=True)
    attempts = fields.Integer(required=True)
    event_id = fields.String(required=True, allow_none=True)
    event_type = fields.String(required=True, allow_none=True)
    subject = fields.String(required=True, allow_none=True)
    order_id = fields.String(required=True, allow_none=True)
    correlation_id = fields.String(required=True, allow_none=True)
    trace_id = fields.String(required=True, allow_none=True)
    failed_at = fields.String(required=True, metadata=_MOMENT)
    filed_at = fields.String(required=True, metadata=_MOMENT)
    body_bytes = fields.Integer(required=True)


class BodySchema(Schema):
    """The message's body, exactly: as text if it is UTF-8, else in base64. A large one is truncated here, not in the
    store.
    """

    encoding = fields.String(required=True, validate=validate.OneOf(["text", "base64"]))
    content = fields.String(required=True)
    sha256 = fields.String(required=True, metadata={"description": "of the whole body"})
    truncated = fields.Boolean(required=True)


class HistoryEntrySchema(Schema):
    """The history of the dead letter: `filed`, `replay_requested`, `replayed`, `returned`, `discarded`."""

    kind = fields.String(required=True)
    at = fields.String(required=True, metadata=_MOMENT)
    by = fields.String(metadata={"description": "who requested it; `automatic` is the single automatic replay"})
    reason = fields.String()
    error_class = fields.String()
    error = fields.String()
    attempts = fields.Integer()
    failed_at = fields.String(metadata=_MOMENT)
    replay_id = fields.String()
    job_id = fields.String()
    outcome = fields.String(metadata={"description": "`published`, `no_such_queue`, `unpublishable`"})
    edited_sha256 = fields.String(metadata={"description": "of the edited event"})
    body_sha256 = fields.String(metadata={"description": "of the body, if it differs from the dead letter's"})


class LetterDetailSchema(LetterSchema):
    event = fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "the CloudEvents document; null if the body is not one"},
    )
    body = fields.Nested(BodySchema, required=True)
    headers = fields.Dict(required=True)
    content_type = fields.String(required=True, allow_none=True)
    traceback = fields.String(required=True)
    history = fields.List(fields.Nested(HistoryEntrySchema), required=True)


class JobSchema(Schema):
    """A bulk replay. Jobs are processed one after the other."""

    id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(["running", "done"]))
    by = fields.String(required=True)
    requested_at = fields.String(required=True, metadata=_MOMENT)
    finished_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    filter = fields.Dict(required=True)
    rate = fields.Float(required=True)
    total = fields.Integer(required=True, metadata={"description": "dead letters that matched at the request"})
    taken = fields.Integer(required=True)
    replayed = fields.Integer(required=True)
    waiting = fields.Integer(required=True)
    failed = fields.Integer(required=True)
