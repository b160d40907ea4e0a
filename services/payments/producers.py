"""The events that payments publishes: its public contract. Their subject is the order, their sequence the payment's
version: one payment belongs to one order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from common.messaging.events import Contract, Event, MessageContext
from common.money import Money
from common.schemas import Integer, MoneySchema, StrictSchema, id_field, text_field
from services.payments.domain import RefundKind, Status

if TYPE_CHECKING:
    from services.payments.domain import ExternalRefund, Payment, Refund

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
    """`amount` is this refund's, `refunded` the total."""

    refund_id = id_field(required=True)
    refunded = fields.Nested(MoneySchema, required=True)
    kind = fields.String(required=True, validate=validate.OneOf([kind.value for kind in RefundKind]))
    reason = text_field(high=200, required=True)


class RefundRefused(AboutPayment):
    """`amount` is the amount due to the customer, `code` the provider's reason."""

    code = text_field(high=64, required=True)
    tries = Integer(required=True, validate=validate.Range(min=1))


class RefundRetried(AboutPayment):
    """`amount` is the retried amount."""

    reason = text_field(high=200, required=True)
    requested_by = text_field(high=64, required=True)


class RefundRecorded(AboutPayment):
    """`amount` was returned another way. `provider_refund_id` is empty unless the refund was made directly at the
    provider.
    """

    refund_id = id_field(required=True)
    refunded = fields.Nested(MoneySchema, required=True)
    reason = text_field(high=200, required=True)
    reference = text_field(low=0, high=200, required=True)
    provider_refund_id = text_field(low=0, high=255, required=True)
    recorded_by = text_field(high=64, required=True)


CAPTURED = Contract("payment.captured.v1", SOURCE, PaymentCaptured(), "The customer was charged.")
DECLINED = Contract(
    "payment.declined.v1", SOURCE, PaymentDeclined(), "The provider refused the charge; code has the reason."
)
REFUNDED = Contract("payment.refunded.v1", SOURCE, PaymentRefunded(), "Some or all of it was refunded.")
OVERDUE = Contract(
    "payment.overdue.v1", SOURCE, PaymentOverdue(), "A payment is overdue: orders is asked for the order's end."
)
REFUND_REFUSED = Contract(
    "payment.refund_refused.v1",
    SOURCE,
    RefundRefused(),
    "The provider refuses the refund of a cancelled order: an operator must decide.",
)
REFUND_RETRIED = Contract("payment.refund_retried.v1", SOURCE, RefundRetried(), "An operator retries a refused refund.")
REFUND_RECORDED = Contract(
    "payment.refund_recorded.v1",
    SOURCE,
    RefundRecorded(),
    "An operator has recorded that money was returned another way.",
)
CONTRACTS = (CAPTURED, DECLINED, REFUNDED, OVERDUE, REFUND_REFUSED, REFUND_RETRIED, REFUND_RECORDED)


def charge_outcome(before: Payment, after: Payment, message_context: MessageContext) -> list[Event]:
    """The event of a charge that changed `before` to `after`."""
    if after.version == before.version:
        return []
    if after.status is Status.CAPTURED:
        return [_event(CAPTURED, after, message_context, {"amount": money(after.price)})]
    return [_event(DECLINED, after, message_context, {"amount": money(after.price), "code": after.decline_code})]


def payment_refunded(payment: Payment, refund: Refund, message_context: MessageContext) -> Event:
    currency = payment.price.currency
    details = {
        "refund_id": refund.id,
        "amount": money(Money(refund.amount, currency)),
        "refunded": money(Money(payment.refunded, currency)),
        "kind": refund.kind.value,
        "reason": refund.reason,
    }
    return _event(REFUNDED, payment, message_context, details)


def refund_refused(payment: Payment, message_context: MessageContext) -> Event:
    """Only for a payment whose refund was refused."""
    if payment.refusal is None:
        raise ValueError("nothing was refused")
    details = {"amount": _owed(payment), "code": payment.refusal.code, "tries": payment.refusal.tries}
    return _event(REFUND_REFUSED, payment, message_context, details)


def refund_retried(payment: Payment, *, reason: str, requested_by: str, message_context: MessageContext) -> Event:
    details = {"amount": _owed(payment), "reason": reason, "requested_by": requested_by}
    return _event(REFUND_RETRIED, payment, message_context, details)


def refund_recorded(payment: Payment, refund: ExternalRefund, message_context: MessageContext) -> Event:
    currency = payment.price.currency
    details = {
        "refund_id": refund.id,
        "amount": money(Money(refund.amount, currency)),
        "refunded": money(Money(payment.refunded, currency)),
        "reason": refund.reason,
        "reference": refund.reference or "",
        "provider_refund_id": refund.provider_refund_id or "",
        "recorded_by": refund.recorded_by,
    }
    return _event(REFUND_RECORDED, payment, message_context, details)


def payment_overdue(payment: Payment, message_context: MessageContext) -> Event:
    return _event(OVERDUE, payment, message_context, {})


def _owed(payment: Payment) -> dict[str, Any]:
    return money(Money(payment.remaining, payment.price.currency))


def money(value: Money) -> dict[str, Any]:
    return {"amount": value.amount, "currency": value.currency}


def _event(contract: Contract, payment: Payment, message_context: MessageContext, details: dict[str, Any]) -> Event:
    data = {"order_id": payment.order_id, "payment_id": payment.id} | details
    return contract.event(
        subject=payment.order_id,
        sequence=payment.version,
        data=data,
        message_context=message_context,
        order_id=payment.order_id,
    )
