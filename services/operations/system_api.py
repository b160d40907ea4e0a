"""The route of the system view, for operators."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from common.appfactory import context
from common.auth import operators_only
from common.openapi import Blueprint
from services.operations import usecases

blueprint = Blueprint("system", __name__, url_prefix="/api/v1/system", description="How the whole system is")
_MOMENT = {"format": "date-time"}


class OutboxSchema(Schema):
    database = fields.String(required=True)
    relay = fields.String(required=True, allow_none=True, metadata={"description": "which one is at it"})
    seconds = fields.Float(required=True, allow_none=True, metadata={"description": "age of the oldest event"})
    rows = fields.Integer(required=True, allow_none=True)


class QueueSchema(Schema):
    name = fields.String(required=True)
    messages = fields.Integer(required=True, allow_none=True)
    ready = fields.Integer(required=True, allow_none=True)
    unacknowledged = fields.Integer(required=True, allow_none=True)
    consumers = fields.Integer(required=True, allow_none=True)
    not_empty_seconds = fields.Float(
        required=True, metadata={"description": "for how long this view has seen messages in it, look after look"}
    )


class WorkerSchema(Schema):
    name = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(["service", "worker"]))
    alive = fields.Boolean(required=True)
    last_seen_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    started_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    subscribed = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "false while it waits for a dependency"}
    )


class BreakerSchema(Schema):
    process = fields.String(required=True)
    breaker = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["closed", "half_open", "open", "unknown"]))


class SweepSchema(Schema):
    context = fields.String(required=True)
    sweep = fields.String(required=True)
    scheduler = fields.String(required=True, allow_none=True, metadata={"description": "which one is at it"})
    last_success_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    failures = fields.Integer(required=True)


class DeadLetterCountSchema(Schema):
    queue = fields.String(required=True)
    status = fields.String(required=True)
    count = fields.Integer(required=True)


class SystemSchema(Schema):
    """`unanswered` names what did not answer; what would have come from there is null or missing."""

    checked_at = fields.String(required=True, metadata=_MOMENT)
    outboxes = fields.List(fields.Nested(OutboxSchema), required=True)
    queues = fields.List(fields.Nested(QueueSchema), required=True, allow_none=True)
    workers = fields.List(fields.Nested(WorkerSchema), required=True)
    breakers = fields.List(fields.Nested(BreakerSchema), required=True)
    sweeps = fields.List(fields.Nested(SweepSchema), required=True)
    held_up = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "whether the clock of sagas' bounds stands still"}
    )
    last_reconciliation_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    dead_letters = fields.List(fields.Nested(DeadLetterCountSchema), required=True, allow_none=True)
    unanswered = fields.List(fields.String(), required=True)


@blueprint.route("", methods=["GET"])
@operators_only
@blueprint.response(200, SystemSchema)
def show_system() -> dict[str, Any]:
    """Outboxes, queues, processes, breakers, sweeps and dead letters, at most two seconds old (operators only).

    It answers within three seconds, whatever is down.
    """
    return usecases.show_system(context().store, context().monitor)
