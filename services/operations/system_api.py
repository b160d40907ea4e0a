"""The route of the system view, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from common.schemas import Integer, StrictSchema, text_field
from common.security.auth import caller, operators_only
from common.web import document_replies
from common.web import request as http
from common.web.app_factory import context
from common.web.openapi import Blueprint
from services.operations import usecases
from services.operations.groups import MAX_COUNTED

if TYPE_CHECKING:
    from common.web.idempotency import Reply

blueprint = Blueprint("system", __name__, url_prefix="/api/v1/system", description="The state of the whole system")
PROMISES = ["P1", "P2", "P3", "P4", "P5", "P6", "P7"]  # the promises of an audit
MAX_COUNT = 10**12
MAX_FINDINGS, MAX_TEXT = 100, 500
_MOMENT = {"format": "date-time"}


class OutboxSchema(Schema):
    database = fields.String(required=True)
    relay = fields.String(required=True, allow_none=True, metadata={"description": "the active relay"})
    seconds = fields.Float(
        required=True, allow_none=True, metadata={"description": "age of the oldest event that waits to be published"}
    )
    rows = fields.Integer(required=True, allow_none=True, metadata={"description": "events that wait"})
    set_aside_rows = fields.Integer(
        required=True, allow_none=True, metadata={"description": "unroutable events, retried periodically"}
    )
    set_aside_seconds = fields.Float(
        required=True, allow_none=True, metadata={"description": "age of the oldest of these"}
    )


class QueueSchema(Schema):
    name = fields.String(required=True)
    messages = fields.Integer(required=True, allow_none=True)
    ready = fields.Integer(required=True, allow_none=True)
    unacknowledged = fields.Integer(required=True, allow_none=True)
    consumers = fields.Integer(required=True, allow_none=True)
    not_empty_seconds = fields.Float(
        required=True, metadata={"description": "how long this view has observed messages in it"}
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
    scheduler = fields.String(required=True, allow_none=True, metadata={"description": "the process that runs it"})
    last_success_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    failures = fields.Integer(required=True)


class DeadLetterCountSchema(Schema):
    queue = fields.String(required=True)
    status = fields.String(required=True)
    count = fields.Integer(
        required=True, metadata={"description": f"up to {MAX_COUNTED} of each status are counted, over all queues"}
    )


class PromiseSchema(StrictSchema):
    promise = fields.String(required=True, validate=validate.OneOf(PROMISES))
    broken = Integer(
        required=True, validate=validate.Range(0, MAX_COUNT), metadata={"description": "the number of occurrences"}
    )


class FindingSchema(StrictSchema):
    promise = fields.String(required=True, validate=validate.OneOf(PROMISES))
    subject = text_field(
        high=MAX_TEXT, required=True, metadata={"description": "the id of an order or an endpoint, or a SKU"}
    )
    text = text_field(high=MAX_TEXT, required=True)


class AuditReportSchema(StrictSchema):
    """What an audit compared and found."""

    orders = Integer(required=True, validate=validate.Range(0, MAX_COUNT))
    promises = fields.List(fields.Nested(PromiseSchema), required=True, validate=validate.Length(equal=len(PROMISES)))
    findings = fields.List(
        fields.Nested(FindingSchema),
        validate=validate.Length(max=MAX_FINDINGS),
        metadata={"description": "the first inconsistencies"},
    )

    @validates_schema(skip_on_field_errors=True)
    def each_once(self, data: dict[str, Any], **_: Any) -> None:
        if sorted(each["promise"] for each in data["promises"]) != PROMISES:
            raise ValidationError("Each promise must be listed once.", "promises")


class AuditSchema(Schema):
    id = fields.String(required=True)
    at = fields.String(required=True, metadata=_MOMENT)
    by = fields.String(required=True, metadata={"description": "who reported it"})
    ok = fields.Boolean(required=True)
    broken = fields.Integer(required=True, metadata={"description": "findings in all"})
    orders = fields.Integer(required=True, metadata={"description": "the number of orders that were compared"})
    promises = fields.List(fields.Nested(PromiseSchema), required=True)
    findings = fields.List(fields.Nested(FindingSchema), required=True)


class StandingCasesSchema(Schema):
    count = fields.Integer(required=True)
    oldest_seconds = fields.Float(required=True, metadata={"description": "the waiting time of the oldest"})


class UndecidedSchema(Schema):
    consumer = fields.String(required=True)
    items = fields.Integer(required=True, metadata={"description": "events that wait for an external decision"})
    oldest_seconds = fields.Float(required=True, metadata={"description": "the waiting time of the oldest"})


class SystemSchema(Schema):
    """`unanswered` names the sources that did not answer; their data is null or missing."""

    checked_at = fields.String(required=True, metadata=_MOMENT)
    outboxes = fields.List(fields.Nested(OutboxSchema), required=True)
    queues = fields.List(fields.Nested(QueueSchema), required=True, allow_none=True)
    workers = fields.List(fields.Nested(WorkerSchema), required=True)
    breakers = fields.List(fields.Nested(BreakerSchema), required=True)
    sweeps = fields.List(fields.Nested(SweepSchema), required=True)
    held_up = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "whether the time-out clock of orders is stopped"}
    )
    standing_cases = fields.Nested(
        StandingCasesSchema,
        required=True,
        allow_none=True,
        metadata={"description": "refunds that the provider refuses and that wait for an operator"},
    )
    undecided = fields.List(fields.Nested(UndecidedSchema), required=True)
    last_reconciliation_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    dead_letters = fields.List(fields.Nested(DeadLetterCountSchema), required=True, allow_none=True)
    last_audit = fields.Nested(
        AuditSchema, required=True, allow_none=True, metadata={"description": "null: none was reported"}
    )
    unanswered = fields.List(fields.String(), required=True)


@blueprint.route("", methods=["GET"])
@operators_only
@blueprint.response(200, SystemSchema)
def show_system() -> dict[str, Any]:
    """Outboxes, queues, processes, breakers, sweeps and dead letters, at most two seconds old (operators only).

    It returns within three seconds, also during outages.
    """
    return usecases.show_system(context().store, context().monitor)


@blueprint.route("/audits", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(AuditReportSchema)
@blueprint.response(201, AuditSchema)
def report_audit(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Record the findings of an audit of the whole system; `last_audit` and the metrics show the newest.

    `holdfast audit` does this automatically.
    """
    with context().store.use() as database:
        reply: Reply = document_replies.once(
            database, http.request_key(), 201, lambda store, _: usecases.record_audit(store, body, by=caller().id)
        )
    return http.render(reply)
