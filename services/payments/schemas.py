"""The bodies of the payments API."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from common.schemas import MAX_AMOUNT, Integer, MoneySchema, StrictSchema, id_field, text_field
from common.web.pagination import PageQuerySchema
from services.payments.domain import RefundStatus, Status
from services.payments.rechecks import Outcome

MAX_REASON_LENGTH = 200
_MOMENT = {"format": "date-time"}


class RefusalSchema(Schema):
    code = fields.String(required=True, metadata={"description": "the provider's reason"})
    tries = fields.Integer(required=True)
    retry_at = fields.String(required=True, allow_none=True, metadata=_MOMENT)
    standing_since = fields.String(
        required=True,
        allow_none=True,
        metadata=_MOMENT | {"description": "since when the refund is not retried and an operator must decide"},
    )


class PaymentSchema(Schema):
    id = fields.String(required=True)
    order_id = fields.String(required=True)
    amount = fields.Nested(MoneySchema, required=True)
    refunded = fields.Nested(MoneySchema, required=True)
    refunded_elsewhere = fields.Nested(
        MoneySchema,
        required=True,
        metadata={"description": "the recorded part of `refunded` that was not returned by the provider"},
    )
    refund_pending = fields.Nested(
        MoneySchema,
        required=True,
        metadata={"description": "the sum of requested refunds whose outcome is not known yet"},
    )
    refund_refusal = fields.Nested(
        RefusalSchema,
        required=True,
        allow_none=True,
        metadata={"description": "the provider refuses the refund of a cancelled order"},
    )
    status = fields.String(required=True, validate=validate.OneOf([status.value for status in Status]))
    decline_code = fields.String(
        required=True, allow_none=True, metadata={"description": "the provider's reason for the refusal"}
    )
    provider_id = fields.String(
        required=True, allow_none=True, metadata={"description": "the PaymentIntent at the provider"}
    )
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    version = fields.Integer(required=True, metadata={"description": "the number of events of this payment"})


class ReCheckSchema(PaymentSchema):
    outcome = fields.String(
        required=True,
        validate=validate.OneOf([outcome.value for outcome in Outcome]),
        metadata={
            "description": "the result of the check; `undecided`: the provider has not decided, and is polled again"
        },
    )
    previous_status = fields.String(required=True, validate=validate.OneOf([status.value for status in Status]))
    checked_at = fields.String(required=True, metadata=_MOMENT)


class PaymentsQuerySchema(PageQuerySchema):
    order_id = id_field(load_default=None)


class RefundAmountSchema(MoneySchema):
    amount = Integer(required=True, validate=validate.Range(min=1, max=MAX_AMOUNT))


class RefundRequestSchema(StrictSchema):
    amount = fields.Nested(RefundAmountSchema, metadata={"description": "default: the rest"})
    reason = text_field(high=MAX_REASON_LENGTH, required=True)


class RefundRetrySchema(StrictSchema):
    reason = text_field(high=MAX_REASON_LENGTH, required=True)


class RefundRecordSchema(StrictSchema):
    amount = fields.Nested(RefundAmountSchema, metadata={"description": "default: the rest"})
    reason = text_field(high=MAX_REASON_LENGTH, required=True)
    reference = text_field(
        high=200, load_default=None, metadata={"description": "a reference, such as a transfer's number"}
    )
    provider_refund_id = text_field(
        high=255,
        pattern=r"[A-Za-z0-9_]+",
        load_default=None,
        metadata={"description": "a refund made directly at the provider, which is queried for its amount"},
    )


class RefundSchema(Schema):
    id = fields.String(required=True)
    payment_id = fields.String(required=True)
    order_id = fields.String(required=True)
    amount = fields.Nested(MoneySchema, required=True)
    refunded = fields.Nested(MoneySchema, required=True, metadata={"description": "the sum of all refunds"})
    status = fields.String(required=True, validate=validate.OneOf([status.value for status in RefundStatus]))
    reason = fields.String(required=True)
    provider_id = fields.String(required=True, allow_none=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})
