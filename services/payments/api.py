"""The routes of payments: parse, call one use case, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from common.errors import NotFound
from common.money import Money
from common.schemas import is_id
from common.security.auth import caller, operators_only
from common.web import app_factory
from common.web import request as http
from common.web.error_responses import raises
from common.web.openapi import Blueprint
from common.web.pagination import Page, PageQuerySchema, page_schema, render_page
from services.payments import open_cases, rechecks, undecided_payments, usecases
from services.payments.open_cases import (
    AlreadyRecordedError,
    AmountMismatchError,
    RecordRefund,
    RefundUnderWayError,
    RetryRefund,
)
from services.payments.refunding import ProviderRefusedRefundError, RefundRequest, refund_payment
from services.payments.refunds import AmountExceedsRemainingError, NotRefundableError, OtherCurrencyError
from services.payments.rendering import render_payment, render_re_check, render_refund
from services.payments.schemas import (
    PaymentSchema,
    PaymentsQuerySchema,
    ReCheckSchema,
    RefundRecordSchema,
    RefundRequestSchema,
    RefundRetrySchema,
    RefundSchema,
)
from services.payments.stripe_mapping import (
    PROVIDER_ERRORS,
    ForeignRefundError,
    IntentMissingError,
    ProviderBusyError,
    ProviderUnavailable,
    translate_provider_outages,
)

if TYPE_CHECKING:
    from services.payments.resources import Resources

_PAYMENTS = page_schema(PaymentSchema)
_NOT_REFUNDABLE = (NotRefundableError, OtherCurrencyError, AmountExceedsRemainingError)
_NOT_RECORDABLE = (AmountMismatchError, RefundUnderWayError, AlreadyRecordedError, ForeignRefundError)

blueprint = Blueprint("payments", __name__, url_prefix="/api/v1/payments", description="Charges and refunds")


@blueprint.route("", methods=["GET"])
@blueprint.arguments(PaymentsQuerySchema, location="query")
@blueprint.response(200, _PAYMENTS)
def list_payments(query: dict[str, Any]) -> dict[str, Any]:
    """List your payments, newest first; operators see those of all customers."""
    page: Page = query["page"]
    payments = usecases.list_payments(
        _resources().engine,
        customer_id=caller().viewer_id,
        order_id=query["order_id"],
        before=page.starting_after,
        limit=page.fetch,
    )
    return render_page([render_payment(payment) for payment in payments], page)


@blueprint.route("/standing-cases", methods=["GET"])
@operators_only
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, _PAYMENTS)
def list_standing_cases(query: dict[str, Any]) -> dict[str, Any]:
    """Payments of cancelled orders whose refund the provider refuses and that wait for an operator."""
    page: Page = query["page"]
    found = open_cases.list_open(_resources().engine, before=page.starting_after, limit=page.fetch)
    return render_page([render_payment(payment) for payment in found], page)


@blueprint.route("/undecided", methods=["GET"])
@operators_only
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, _PAYMENTS)
def list_undecided(query: dict[str, Any]) -> dict[str, Any]:
    """List payments whose charge (`pending`) or refund the provider has not decided for ten seconds or longer."""
    page: Page = query["page"]
    found = undecided_payments.list_undecided(_resources().engine, before=page.starting_after, limit=page.fetch)
    return render_page([render_payment(payment) for payment in found], page)


@blueprint.route("/<payment_id>", methods=["GET"])
@blueprint.response(200, PaymentSchema)
def get_payment(payment_id: str) -> dict[str, Any]:
    """One payment in its current state."""
    return render_payment(usecases.get_payment(_resources().engine, _id(payment_id), customer_id=caller().viewer_id))


@blueprint.route("/<payment_id>/refunds", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(RefundRequestSchema)
@blueprint.response(201, RefundSchema)
@raises(*_NOT_REFUNDABLE, ProviderRefusedRefundError, *PROVIDER_ERRORS)
@translate_provider_outages()
def create_refund(body: dict[str, Any], payment_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Refund some or all of a captured payment.

    Send an Idempotency-Key: if the provider is unavailable (503), repeating the request continues the same refund;
    without a key it would request a second one.
    """
    reply = refund_payment(
        _resources(),
        RefundRequest(payment_id=_id(payment_id), amount=_amount(body), reason=body["reason"]),
        request_key=http.request_key(),
        render=render_refund,
        message_context=http.request_message_context(),
    )
    return http.render(reply)


@blueprint.route("/<payment_id>/refunds/retry", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(RefundRetrySchema)
@blueprint.response(200, PaymentSchema)
@raises(NotRefundableError, ProviderRefusedRefundError, *PROVIDER_ERRORS)
@translate_provider_outages()
def retry_refund(body: dict[str, Any], payment_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Retry the refund of a cancelled order now.

    409 `refund_refused`: the provider refuses it again, and the case still needs manual review.
    """
    command = RetryRefund(payment_id=_id(payment_id), reason=body["reason"], requested_by=caller().id)
    reply = open_cases.retry_refund(
        _resources(),
        command,
        request_key=http.request_key(),
        render=render_payment,
        message_context=http.request_message_context(),
    )
    return http.render(reply)


@blueprint.route("/<payment_id>/refunds/record", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(RefundRecordSchema)
@blueprint.response(201, PaymentSchema)
@raises(*_NOT_REFUNDABLE, *_NOT_RECORDABLE, *PROVIDER_ERRORS)
@translate_provider_outages()
def record_refund(body: dict[str, Any], payment_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Record that money was returned another way: by a bank transfer, or by a refund made directly at the provider.

    The provider is only queried for that refund. 409 `refund_under_way`: payments still retries the refund
    automatically.
    """
    command = RecordRefund(
        payment_id=_id(payment_id),
        amount=_amount(body),
        reason=body["reason"],
        reference=body["reference"],
        provider_refund_id=body["provider_refund_id"],
        recorded_by=caller().id,
    )
    reply = open_cases.record_refund(
        _resources(),
        command,
        request_key=http.request_key(),
        render=render_payment,
        message_context=http.request_message_context(),
    )
    return http.render(reply)


@blueprint.route("/<payment_id>/re-check", methods=["POST"])
@operators_only
@blueprint.response(200, ReCheckSchema)
@raises(ProviderUnavailable, ProviderBusyError, IntentMissingError)
def re_check_payment(payment_id: str) -> dict[str, Any]:
    """Compare the payment with the provider, and complete it: charge, cancel, or refund.

    This is what the worker does, safe to run concurrently and idempotent. `outcome` says what came of it; `undecided`:
    the provider has not decided, and payments asks again automatically. 503 `payment_provider_unavailable`: the
    provider does not answer.
    """
    return render_re_check(rechecks.re_check(_resources(), _id(payment_id), http.request_message_context()))


def _amount(body: dict[str, Any]) -> Money | None:
    return Money(body["amount"]["amount"], body["amount"]["currency"]) if "amount" in body else None


def _id(payment_id: str) -> str:
    if not is_id(payment_id):
        raise NotFound("no such payment")
    return payment_id


def _resources() -> Resources:
    return cast("Resources", app_factory.context())
