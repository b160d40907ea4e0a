"""The mapping of Stripe's objects to the domain."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from common.errors import Unavailable, Undecided, classify
from services.payments.domain import Intent, IntentState, RefundStatus
from services.payments.stripe_mapping import read_intent, read_refund, refusal, stuck

errors: Any = stripe  # some of its exceptions' constructors have no types
CARD_DECLINED = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
EXPIRED = {"type": "card_error", "code": "expired_card"}


def intent_of(**fields: Any) -> dict[str, Any]:
    return {"object": "payment_intent", "id": "pi_1", "last_payment_error": None} | fields


@pytest.mark.parametrize(
    ("status", "last_error", "state", "code"),
    [
        ("requires_confirmation", None, IntentState.OPEN, None),
        ("succeeded", None, IntentState.SUCCEEDED, None),
        ("canceled", CARD_DECLINED, IntentState.CANCELED, None),
        ("requires_action", None, IntentState.REFUSED, "authentication_required"),
        ("requires_payment_method", CARD_DECLINED, IntentState.REFUSED, "insufficient_funds"),
        ("requires_payment_method", EXPIRED, IntentState.REFUSED, "expired_card"),
        ("requires_payment_method", None, IntentState.REFUSED, "payment_method_required"),
        ("requires_payment_method", {"code": "x" * 500}, IntentState.REFUSED, "x" * 64),
        ("requires_payment_method", {"code": "a\x00b"}, IntentState.REFUSED, "payment_method_required"),
    ],
)
def test_an_intent_is_mapped_by_its_status(status: str, last_error: Any, state: IntentState, code: str | None) -> None:
    shown = intent_of(status=status, last_payment_error=last_error)
    assert read_intent(shown, "pi_1") == Intent("pi_1", state, code)


@pytest.mark.parametrize("status", ["processing", "requires_capture", "something_new"])
def test_an_intent_without_an_outcome_is_undecided(status: str) -> None:
    with pytest.raises(Undecided):
        read_intent(intent_of(status=status))


@pytest.mark.parametrize("status", [None, 7])
def test_an_intent_without_a_status_is_malformed(status: Any) -> None:
    with pytest.raises(Unavailable):
        read_intent(intent_of(status=status))


def test_a_response_about_another_intent_is_malformed() -> None:
    with pytest.raises(Unavailable):
        read_intent(intent_of(status="succeeded"), "pi_2")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("succeeded", RefundStatus.SUCCEEDED),
        ("pending", RefundStatus.PENDING),
        ("requires_action", RefundStatus.PENDING),
        ("something_new", RefundStatus.PENDING),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.FAILED),
    ],
)
def test_a_refund_is_mapped_by_its_status(status: str, expected: RefundStatus) -> None:
    shown = stripe.Refund.construct_from({"object": "refund", "id": "re_1", "status": status}, "sk_test_x")
    assert read_refund(shown) == ("re_1", expected)


def test_a_refund_without_a_status_is_malformed() -> None:
    shown = stripe.Refund.construct_from({"object": "refund", "id": "re_1", "status": None}, "sk_test_x")
    with pytest.raises(Unavailable):
        read_refund(shown)


def refused(**stated: Any) -> Any:
    body = {"error": {"type": "invalid_request_error"} | stated}
    return errors.InvalidRequestError("no", stated.get("param"), stated.get("code"), json_body=body)


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ({"code": "amount_too_small"}, "amount_too_small"),
        ({"code": "resource_missing", "param": "payment_method"}, "resource_missing"),
        ({"type": "card_error", "code": "card_declined", "decline_code": "lost_card"}, "lost_card"),
        ({}, "invalid_request"),
    ],
)
def test_a_refusal_has_a_stable_code(stated: dict[str, Any], code: str) -> None:
    assert refusal(refused(**stated)) == code


def test_a_stored_response_names_its_original_request() -> None:
    replayed = {"idempotent-replayed": "true", "original-request": "req_1"}
    assert stuck(errors.APIError("oh", http_status=500, headers=replayed)) == "req_1"
    assert stuck(errors.APIError("oh", http_status=500)) is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.CardError("no", None, "card_declined"), "Rejected"),
        (refused(), "Rejected"),
        (errors.IdempotencyError("reused"), "Transient"),
        (errors.AuthenticationError("key"), "Unavailable"),
        (errors.PermissionError("key"), "Unavailable"),
        (errors.RateLimitError("slowly"), "Unavailable"),
        (errors.APIError("oh"), "Unavailable"),
        (errors.APIConnectionError("gone"), "Unavailable"),
        (errors.oauth_error.InvalidRequestError("invalid_request", "what a proxy says"), "Unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_every_error_of_the_client_is_classified(error: Exception, expected: str) -> None:
    assert classify(error).__name__ == expected
