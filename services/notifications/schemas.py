"""The bodies, queries and replies of the webhooks API."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields, validate

from common.schemas import StrictSchema, id_field, text_field
from common.web.pagination import PageQuerySchema
from services.notifications.domain import Status

if TYPE_CHECKING:
    from datetime import datetime

STATUSES = [status.value for status in Status]
MAX_DESCRIPTION, MAX_NAME, MAX_TYPES = 200, 100, 50
MAX_URL_CHARACTERS = 16_384  # longer, so that the error for a long URL is specific
MAX_OVERLAP_SECONDS = 7 * 86_400
_MOMENT = {"format": "date-time"}


def _on_the_calendar(value: datetime) -> None:
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise ValidationError("Not a valid datetime.") from None


class _Boolean(fields.Boolean):
    """A JSON boolean: neither 1 nor "true"."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if type(value) is not bool:
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


def _types(**options: bool) -> fields.List[Any]:
    return fields.List(
        text_field(high=MAX_NAME, metadata={"example": "order.confirmed.v1"}),
        validate=validate.Length(min=1, max=MAX_TYPES),
        **options,  # type: ignore[arg-type]  # `required` alone
    )


class CreateEndpointSchema(StrictSchema):
    url = text_field(high=MAX_URL_CHARACTERS, required=True, metadata={"example": "https://shop.example/webhooks"})
    event_types = _types(required=True)
    description = text_field(low=0, high=MAX_DESCRIPTION, load_default="")


class ChangeEndpointSchema(StrictSchema):
    url = text_field(high=MAX_URL_CHARACTERS)
    event_types = _types()
    description = text_field(low=0, high=MAX_DESCRIPTION)
    enabled = _Boolean()


class RotateSecretSchema(StrictSchema):
    keep_previous_seconds = fields.Integer(
        strict=True,
        load_default=86_400,
        validate=validate.Range(min=0, max=MAX_OVERLAP_SECONDS),
        metadata={"description": "how long the previous secret also signs"},
    )


class ResendFailedSchema(StrictSchema):
    since = fields.AwareDateTime(format="iso", required=True, validate=_on_the_calendar, metadata=_MOMENT)
    event_type = text_field(high=MAX_NAME)


class EndpointsQuerySchema(PageQuerySchema):
    health = fields.String(
        validate=validate.OneOf(["failing"]),
        metadata={"description": "`failing`: those whose last attempt failed, also if they are disabled for it"},
    )


class OrderDeliveriesQuerySchema(PageQuerySchema):
    order_id = id_field(required=True, metadata={"description": "deliveries of this order's events"})


class DeliveriesQuerySchema(PageQuerySchema):
    status = fields.String(validate=validate.OneOf(STATUSES))
    event_id = text_field(high=MAX_NAME)
    order_id = text_field(high=MAX_NAME)


class SubscriptionSchema(Schema):
    event_type = fields.String(required=True)
    since = fields.String(
        required=True,
        allow_none=True,
        metadata=_MOMENT | {"description": "events since then are delivered; null: not yet bound"},
    )


class EndpointSchema(Schema):
    id = fields.String(required=True)
    owner_id = fields.String(required=True)
    scope = fields.String(
        required=True,
        validate=validate.OneOf(["all", "own_orders"]),
        metadata={"description": "`all`: an operator's endpoint; `own_orders`: events of its owner's orders"},
    )
    url = fields.String(required=True)
    description = fields.String(required=True)
    event_types = fields.List(fields.String(), required=True)
    subscriptions = fields.List(fields.Nested(SubscriptionSchema), required=True)
    enabled = fields.Boolean(required=True)
    disabled_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    disabled_reason = fields.String(
        required=True, allow_none=True, metadata={"description": "`requested`, `gone` (410), `failing` (for days)"}
    )
    consecutive_failures = fields.Integer(required=True)
    failing_since = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    paused_until = fields.String(
        required=True, allow_none=True, metadata=_MOMENT | {"description": "its circuit breaker is open until then"}
    )
    last_attempt_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    last_success_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    deliveries_kept_seconds = fields.Float(required=True, metadata={"description": "when the delivery is pruned"})
    previous_secrets_until = fields.List(fields.String(metadata=_MOMENT), required=True)
    created_at = fields.String(required=True, metadata=_MOMENT)


class EndpointWithSecretSchema(EndpointSchema):
    secret = fields.String(metadata={"description": "shown once, at its creation: `whsec_...`"})


class AttemptSchema(Schema):
    at = fields.String(required=True, metadata=_MOMENT)
    status_code = fields.Integer(required=True, allow_none=True)
    error = fields.String(required=True)
    latency_seconds = fields.Float(required=True)
    answer = fields.String(required=True, metadata={"description": "the first part of it"})


class DeliverySchema(Schema):
    id = fields.String(required=True)
    endpoint_id = fields.String(required=True)
    event_id = fields.String(required=True, metadata={"description": "the header `webhook-id`"})
    event_type = fields.String(required=True)
    order_id = fields.String(required=True, allow_none=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "for failed deliveries: `attempts_exhausted`, `gone`, `failing`, `endpoint_disabled`"},
    )
    attempts = fields.Integer(required=True, metadata={"description": "of the current schedule"})
    attempts_total = fields.Integer(required=True)
    next_attempt_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    created_at = fields.String(required=True, metadata=_MOMENT)
    delivered_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    history = fields.List(fields.Nested(AttemptSchema), required=True)


class ResentSchema(Schema):
    resent = fields.Integer(required=True)
