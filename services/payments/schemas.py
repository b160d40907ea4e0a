"""The bodies of the payments API."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from common.schemas import MAX_AMOUNT, Integer, MoneySchema, StrictSchema, id_field, text_field
from common.web.pagination import PageQuerySchema
from services.payments.domain import RefundStatus, Status

MAX_REASON_LENGTH = 200


class PaymentSchema(Schema):
    id = fields.String(required=True)
    order_id = fields.String(required=True)
    amount = fields.Nested(MoneySchema, required=True)
    refunded = fields.Nested(MoneySchema, required=True)
    status = fields.String(required=True, validate=validate.OneOf([status.value for status in Status]))
    decline_code = fields.String(
        required=True, allow_none=True, metadata={"description": "why the provider refused, in its words"}
    )
    provider_id = fields.String(
        required=True, allow_none=True, metadata={"description": "the PaymentIntent at the provider"}
    )
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    version = fields.Integer(required=True, metadata={"description": "the number of events of this payment"})


class PaymentsQuerySchema(PageQuerySchema):
    order_id = id_field(load_default=None)


class RefundAmountSchema(MoneySchema):
    amount = Integer(required=True, validate=validate.Range(min=1, max=MAX_AMOUNT))


class RefundRequestSchema(StrictSchema):
    amount = fields.Nested(RefundAmountSchema, metadata={"description": "without it, all that is left"})
    reason = text_field(high=MAX_REASON_LENGTH, required=True)


class RefundSchema(Schema):
    id = fields.String(required=True)
    payment_id = fields.String(required=True)
    order_id = fields.String(required=True)
    amount = fields.Nested(MoneySchema, required=True)
    refunded = fields.Nested(MoneySchema, required=True, metadata={"description": "the sum of all so far"})
    status = fields.String(required=True, validate=validate.OneOf([status.value for status in RefundStatus]))
    reason = fields.String(required=True)
    provider_id = fields.String(required=True, allow_none=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})
