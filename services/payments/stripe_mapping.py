"""Maps Stripe's objects and refusals to the domain.

A response without Stripe's schema raises `ProviderUnavailable`. A state in which this one item is still undecided
raises `ProviderUndecidedError`: other items are not affected.
Statuses: https://docs.stripe.com/payments/paymentintents/lifecycle and https://docs.stripe.com/refunds
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import stripe

from common.errors import LockTimeout, Rejected, Unavailable, Undecided, classify
from common.resilience.circuit_breaker import CircuitOpenError
from services.payments.domain import Intent, IntentState, RefundStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
MAX_CODE_LENGTH = 64
UNEXPECTED_STATE = "payment_intent_unexpected_state"
_REFUSAL_TYPES = ("card_error", "invalid_request_error")
_INTENT_STATES = {
    "requires_confirmation": IntentState.OPEN,
    "requires_payment_method": IntentState.REFUSED,
    "requires_action": IntentState.REFUSED,
    "succeeded": IntentState.SUCCEEDED,
    "canceled": IntentState.CANCELED,
}
_REFUND_STATUSES = {
    "succeeded": RefundStatus.SUCCEEDED,
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}


class ProviderUnavailable(Unavailable):
    """The payment provider does not answer, or with a malformed response."""

    code = "payment_provider_unavailable"


class ProviderUndecidedError(Undecided):
    """The payment provider answers, but has not decided this one intent or refund."""

    code = "payment_provider_undecided"


class IntentMissingError(Rejected):
    """The provider does not know an intent that it created: the key of another account, or a lost ledger."""

    code = "payment_intent_missing"


class ForeignRefundError(Rejected):
    """Not a refund of this payment made directly at the provider."""

    code = "provider_refund_unusable"


class ProviderBusyError(LockTimeout):
    """A concurrent request for the same object. Not an outage: retry soon."""

    code = "payment_provider_busy"


# Errors of every request that calls the provider.
PROVIDER_ERRORS = (ProviderUnavailable, ProviderUndecidedError, ProviderBusyError, IntentMissingError)


@contextmanager
def translate_provider_outages() -> Iterator[None]:
    """Raise `ProviderUnavailable` for an outage of the provider, to distinguish it from one of payments itself."""
    try:
        yield
    except (stripe.StripeError, CircuitOpenError) as error:
        if classify(error) is not Unavailable:
            raise
        raise ProviderUnavailable("the payment provider does not answer") from error


def call_stripe(call: Callable[[], T]) -> T:
    """Make one call with Stripe's client. Its own errors pass; other exceptions mean a malformed response."""
    try:
        return call()
    except stripe.StripeError as error:
        if error.http_status == HTTPStatus.CONFLICT or getattr(error.error, "code", None) == "lock_timeout":
            raise ProviderBusyError(str(error)) from error
        raise
    except (LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
        message = f"the payment provider's answer could not be read: {error!r}"
        raise ProviderUnavailable(message) from error


def read_intent(answer: Any, expected_id: str | None = None) -> Intent:
    """The intent in the JSON of a response."""
    values = _document(answer, "payment_intent")
    provider_id, status = values.get("id"), values.get("status")
    if not isinstance(provider_id, str) or expected_id not in (None, provider_id):
        raise ProviderUnavailable("the payment provider answered with another intent")
    if not isinstance(status, str):
        raise ProviderUnavailable("the payment provider answered with an intent without a status")
    state = _INTENT_STATES.get(status)
    if state is None:
        message = f"the payment provider has not decided: intent {provider_id} is {status}"
        raise ProviderUndecidedError(message)
    code = _why_refused(values) if state is IntentState.REFUSED else None
    return Intent(provider_id, state, code)


def read_refund(answer: stripe.StripeObject) -> tuple[str, RefundStatus]:
    """The refund's id at the provider, and its outcome; PENDING while it is undecided."""
    values = _document(call_stripe(lambda: answer.to_dict()), "refund")  # noqa: PLW0108 - it may have no such method
    provider_id, status = values.get("id"), values.get("status")
    if not isinstance(provider_id, str) or not isinstance(status, str):
        raise ProviderUnavailable("the payment provider answered with a refund without id or status")
    return provider_id, _REFUND_STATUSES.get(status, RefundStatus.PENDING)


def refund_failure(answer: stripe.StripeObject) -> str:
    """The provider's reason why an accepted refund has failed."""
    return _word(answer.to_dict().get("failure_reason")) or "failed"


def read_foreign_refund(answer: stripe.StripeObject, intent_id: str) -> int:
    """The amount of a successful refund of that intent that Holdfast did not make."""
    _, status = read_refund(answer)
    values = answer.to_dict()
    if values.get("payment_intent") != intent_id:
        raise ForeignRefundError("this refund is of another payment")
    if "refund_id" in (values.get("metadata") or {}):
        raise ForeignRefundError("this refund was made by Holdfast and is already recorded")
    if status is not RefundStatus.SUCCEEDED:
        raise ForeignRefundError("this refund has not succeeded")
    return int(values["amount"])


def refusal(error: stripe.CardError | stripe.InvalidRequestError) -> str:
    """A stable code of the refusal. Raises if it is not a refusal of the charge."""
    if getattr(error.error, "type", None) not in _REFUSAL_TYPES:
        message = f"this 4xx is not the payment provider's: {error!r}"
        raise ProviderUnavailable(message) from error
    if error.code == "resource_missing" and error.param == "intent":
        raise IntentMissingError(str(error)) from error
    stated = getattr(error.error, "decline_code", None)
    return _word(stated) or _word(error.code) or "invalid_request"


def stuck(error: stripe.APIError) -> str | None:
    """The id of the earlier request if this 5xx is its stored response: the key will always return it."""
    original = error.headers.get("original-request") if error.headers else None
    return original[:MAX_CODE_LENGTH] if original else None


def _document(answer: Any, kind: str) -> dict[str, Any]:
    if not isinstance(answer, dict) or answer.get("object") != kind:
        message = f"the payment provider did not answer with a {kind}"
        raise ProviderUnavailable(message)
    return answer


def _why_refused(intent: dict[str, Any]) -> str:
    if intent["status"] == "requires_action":
        return "authentication_required"
    error = intent.get("last_payment_error")
    stated = error if isinstance(error, dict) else {}
    return _word(stated.get("decline_code")) or _word(stated.get("code")) or "payment_method_required"


def _word(value: Any) -> str | None:
    return value[:MAX_CODE_LENGTH] if isinstance(value, str) and value.isprintable() and value else None
