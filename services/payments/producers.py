"""The events that payments publishes: its public contract. Their subject is the order, their sequence the payment's
version: one payment belongs to one order, and nothing else here speaks of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from common.messaging.events import Contract, Event, Trail
from common.schemas import MoneySchema, StrictSchema, id_field, text_field
from services.payments.domain import Money, RefundKind, Status

if TYPE_CHECKING:
    from services.payments.domain import Payment, Refund

SOURCE = "/services/payments"


class PaymentOverdue(StrictSchema):
    order_id = id_field(required=True)
    payment_id = id_field(required=True)


class AboutPayment(PaymentOverdue):
    amount = fields.Nested(MoneySchema, required=True)


class PaymentCaptured(AboutPayment):
    pass


class PaymentDeclined(AboutPayment):
    code = text_field(high=64, required=True)


class PaymentRefunded(AboutPayment):
    """`amount` is this refund's, `refunded` the sum of all so far."""

    refund_id = id_field(required=True)
    refunded = fields.Nested(MoneySchema, required=True)
    kind = fields.String(required=True, validate=validate.OneOf([kind.value for kind in RefundKind]))
    reason = text_field(high=200, required=True)


CAPTURED = Contract("payment.captured.v1", SOURCE, PaymentCaptured(), "The customer was charged.")
DECLINED = Contract("payment.declined.v1", SOURCE, PaymentDeclined(), "The provider refused the charge; code says why.")
REFUNDED = Contract("payment.refunded.v1", SOURCE, PaymentRefunded(), "Some or all of it was given back.")
OVERDUE = Contract(
    "payment.overdue.v1", SOURCE, PaymentOverdue(), "A payment has waited long: orders is asked how the order ended."
)
CONTRACTS = (CAPTURED, DECLINED, REFUNDED, OVERDUE)


def news(before: Payment, after: Payment, trail: Trail) -> list[Event]:
    """What is to be told of a charge that took `before` to `after`."""
    if after.version == before.version:
        return []
    if after.status is Status.CAPTURED:
        return [_event(CAPTURED, after, trail, {"amount": money(after.price)})]
    return [_event(DECLINED, after, trail, {"amount": money(after.price), "code": after.decline_code})]


def payment_refunded(payment: Payment, refund: Refund, trail: Trail) -> Event:
    currency = payment.price.currency
    details = {
        "refund_id": refund.id,
        "amount": money(Money(refund.amount, currency)),
        "refunded": money(Money(payment.refunded, currency)),
        "kind": refund.kind.value,
        "reason": refund.reason,
    }
    return _event(REFUNDED, payment, trail, details)


def payment_overdue(payment: Payment, trail: Trail) -> Event:
    return _event(OVERDUE, payment, trail, {})


def money(value: Money) -> dict[str, Any]:
    return {"amount": value.amount, "currency": value.currency}


def _event(contract: Contract, payment: Payment, trail: Trail, details: dict[str, Any]) -> Event:
    data = {"order_id": payment.order_id, "payment_id": payment.id} | details
    return contract.event(
        subject=payment.order_id, sequence=payment.version, data=data, trail=trail, order_id=payment.order_id
    )
