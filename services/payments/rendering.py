"""Payments, refunds and re-checks as the API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.messaging.events import rfc3339

if TYPE_CHECKING:
    from services.payments.domain import Payment, Refund, Refusal
    from services.payments.rechecks import ReCheck


def render_payment(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "order_id": payment.order_id,
        "amount": _money(payment, payment.price.amount),
        "refunded": _money(payment, payment.refunded),
        "refunded_elsewhere": _money(payment, payment.refunded_elsewhere),
        "refund_pending": _money(payment, payment.refund_pending),
        "refund_refusal": render_refusal(payment.refusal) if payment.refusal else None,
        "status": payment.status.value,
        "decline_code": payment.decline_code,
        "provider_id": payment.provider_id,
        "created_at": rfc3339(payment.created_at),
        "version": payment.version,
    }


def render_re_check(check: ReCheck) -> dict[str, Any]:
    return render_payment(check.payment) | {
        "outcome": check.outcome.value,
        "previous_status": check.previous_status.value,
        "checked_at": rfc3339(check.checked_at),
    }


def render_refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "code": refusal.code,
        "tries": refusal.tries,
        "retry_at": rfc3339(refusal.retry_at) if refusal.retry_at else None,
        "standing_since": rfc3339(refusal.standing_since) if refusal.standing_since else None,
    }


def render_refund(payment: Payment, refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "payment_id": payment.id,
        "order_id": payment.order_id,
        "amount": _money(payment, refund.amount),
        "refunded": _money(payment, payment.refunded),
        "status": refund.status.value,
        "reason": refund.reason,
        "provider_id": refund.provider_id,
        "created_at": rfc3339(refund.created_at),
    }


def _money(payment: Payment, amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": payment.price.currency}
