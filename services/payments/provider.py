"""The payment provider, by Stripe's official client: the only file that calls it.

Guarantee: every call has a time-out and is made once (a retry of the caller reads first); a refusal is a return value,
never an exception; other errors of Stripe's client are classified by `common.errors.classify`. An intent is created
with its card and confirmed without one, so the card is tried once: after a refusal, a second confirmation has nothing
to charge. Not promised: detection of a response that arrives ever more slowly (each read is bounded, not their sum), or
of a refund that Stripe accepts and the bank returns days later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import stripe

from common.messaging.events import new_id
from common.observability import tracing
from common.resilience.circuit_breaker import Breaker
from common.setting_checks import HTTP_URL, between
from common.settings import MAX_FAILURES, setting
from services.payments.domain import Intent, IntentState, RefundStatus
from services.payments.stripe_http import make_client
from services.payments.stripe_mapping import (
    UNEXPECTED_STATE,
    ForeignRefundError,
    ProviderUndecidedError,
    call_stripe,
    read_foreign_refund,
    read_intent,
    read_refund,
    refund_failure,
    refusal,
    stuck,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.payments.domain import Payment, Refund, Terms

T = TypeVar("T")
MAX_KEYS = 5
MAX_REFUNDS_READ = 1_000
_ANSWERS = (stripe.CardError, stripe.InvalidRequestError)


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """The provider's account, address and time-out, and the first retry delay of a refused refund.

    The default address is Stripe's own.
    """

    stripe_api_key: str = setting(
        "STRIPE_API_KEY", meaning="Secret key of the Stripe account. The sandbox accepts any that begins with sk_test_."
    )
    stripe_api_base: str = setting(
        "STRIPE_API_BASE",
        default="https://api.stripe.com",
        check=HTTP_URL,
        meaning="Base URL of the payment provider: Stripe's own, or the sandbox's.",
    )
    stripe_timeout_seconds: float = setting(
        "STRIPE_TIMEOUT_SECONDS",
        "float",
        default=5.0,
        check=between(0.1, 60),
        meaning="Longest wait for a response of the payment provider, in seconds.",
    )
    refund_retry_seconds: float = setting(
        "REFUND_RETRY_SECONDS",
        "float",
        default=60.0,
        check=between(0.1, 86_400),
        meaning="Pause after the first refusal of a refund, in seconds; each further pause is three times as long.",
    )
    circuit_breaker_max_failures: int = MAX_FAILURES


def make_provider(settings: ProviderSettings) -> Provider:
    """The provider of a process. Thread-safe."""
    base_url, seconds = settings.stripe_api_base.rstrip("/"), settings.stripe_timeout_seconds
    client = make_client(settings.stripe_api_key, base_url, timeout_seconds=seconds)
    breaker = Breaker("payment_provider", max_failures=settings.circuit_breaker_max_failures)
    return Provider(client, breaker, refund_retry_seconds=settings.refund_retry_seconds)


class Provider:
    def __init__(self, client: stripe.StripeClient, breaker: Breaker, *, refund_retry_seconds: float) -> None:
        self.refund_retry_seconds = refund_retry_seconds
        self._breaker, self._client, self._refunds = breaker, client, client.v1.refunds

    def create(self, payment: Payment, terms: Terms) -> Intent:
        """An unconfirmed intent, or the provider's refusal. Idempotent per payment."""
        params: Any = {
            "amount": terms.amount.amount,
            "currency": terms.amount.currency,
            "payment_method": terms.method,
            "payment_method_types": ["card"],
            "metadata": {"order_id": payment.order_id, "payment_id": payment.id},
        }
        try:
            made = self._under_key("create", payment.id, lambda options: self._post("", params, options), _nothing)
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return Intent(None, IntentState.REFUSED, refusal(error))
        return read_intent(made)

    def retrieve(self, provider_id: str) -> Intent:
        try:
            answer = self._call("retrieve", lambda: self._request("get", _path(provider_id)))
            return read_intent(answer, provider_id)
        except stripe.InvalidRequestError as error:
            refusal(error)  # reports the missing intent
            raise

    def confirm(self, provider_id: str) -> Intent:
        """Charge with a fresh key: `retrieve` shows the outcome of an earlier attempt, not its key."""
        try:
            params = {"error_on_requires_action": True}
            answer = self._call("confirm", lambda: self._post(_path(provider_id, "confirm"), params, _fresh_key()))
        except stripe.CardError as error:
            return Intent(provider_id, IntentState.REFUSED, refusal(error))
        except stripe.InvalidRequestError as error:
            return self._read_after_refusal(provider_id, error)
        return read_intent(answer, provider_id)

    def cancel(self, provider_id: str) -> Intent:
        """Cancel, or report that it is too late: the returned state is CANCELED or SUCCEEDED."""
        try:
            answer = self._call("cancel", lambda: self._post(_path(provider_id, "cancel"), {}, _fresh_key()))
            seen = read_intent(answer, provider_id)
        except stripe.InvalidRequestError as error:
            refusal(error)
            seen = self.retrieve(provider_id)
        if seen.state not in (IntentState.CANCELED, IntentState.SUCCEEDED):
            raise ProviderUndecidedError("the payment provider does not cancel the intent")
        return seen

    def refund(self, provider_id: str, refund: Refund) -> tuple[str | None, RefundStatus, str | None]:
        """Refund; returns the refund's id at the provider, its outcome, and the reason of a failure. Searches for an
        existing refund first.

        It is PENDING while the provider has not decided: the next call finds it again.
        """
        params: Any = {
            "payment_intent": provider_id,
            "amount": refund.amount,
            "metadata": {"refund_id": refund.id},
        }

        def find() -> stripe.Refund | None:
            return self._find(provider_id, refund)

        try:
            made = self._under_key("refund", refund.id, lambda options: self._refunds.create(params, options), find)
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            code = refusal(error)
            there = find()  # the cause may be a concurrent refund
            if there is None:
                return None, RefundStatus.FAILED, code
            made = there
        refund_id, status = read_refund(made)
        return refund_id, status, refund_failure(made) if status is RefundStatus.FAILED else None

    def find_foreign_refund(self, provider_id: str, refund_id: str) -> int:
        """The amount of a refund that was made directly at the provider. Raises `ForeignRefundError` if it is not
        one.
        """
        try:
            made = self._call("retrieve refund", lambda: self._refunds.retrieve(refund_id))
        except stripe.InvalidRequestError as error:
            message = f"the payment provider does not know this refund: {refusal(error)}"
            raise ForeignRefundError(message) from error
        return read_foreign_refund(made, provider_id)

    def probe(self) -> None:
        """Check that the provider answers. Raises like the calls above while it is unavailable."""
        self._call("list", lambda: self._request("get", "", limit=1))

    def _post(self, path: str, params: dict[str, Any], options: stripe.RequestOptions) -> Any:
        return self._request("post", path, **params, **options)

    def _request(self, method: str, path: str, **params: Any) -> Any:
        """One request about payment intents; returns the response's JSON. Stripe's objects would cost as much again."""
        return self._client.raw_request(method, f"/v1/payment_intents{path}", **params).data

    def _read_after_refusal(self, provider_id: str, error: stripe.InvalidRequestError) -> Intent:
        """Read the intent after a refused confirmation, which a concurrent one may have caused."""
        code = refusal(error)
        seen = self.retrieve(provider_id)
        if seen.state is not IntentState.OPEN:
            return seen
        if code == UNEXPECTED_STATE:
            raise ProviderUndecidedError("the payment provider is busy with the intent")
        return Intent(provider_id, IntentState.REFUSED, code)

    def _find(self, provider_id: str, refund: Refund) -> stripe.Refund | None:
        def search() -> stripe.Refund | None:
            listed = self._refunds.list({"payment_intent": provider_id, "limit": 100})
            for number, made in enumerate(listed.auto_paging_iter()):
                if (made.to_dict().get("metadata") or {}).get("refund_id") == refund.id:
                    return made
                if number == MAX_REFUNDS_READ:
                    raise ProviderUndecidedError("too many refunds of one intent to search")
            return None

        return self._call("list refunds", search)

    def _call(self, operation: str, call: Callable[[], T]) -> T:
        attributes = {"peer.service": self._breaker.name, "holdfast.operation": operation}
        name = f"{self._breaker.name} {operation}"
        with self._breaker.guard(), tracing.child(name, "client", attributes, answers=_ANSWERS):
            return call_stripe(call)

    def _under_key(
        self, operation: str, key: str, call: Callable[[stripe.RequestOptions], T], find: Callable[[], T | None]
    ) -> T:
        """Create an object once, with `key`, unless `find` finds it.

        A key with a stored 500 always returns that 500. Its request has ended, so another `find` is conclusive. If
        nothing is found, the next key is derived from that request, so that all callers with the same stored response
        use the same key.
        """
        for _ in range(MAX_KEYS):
            if (there := find()) is not None:
                return there
            options: stripe.RequestOptions = {"idempotency_key": key}
            try:
                return self._call(operation, lambda: call(options))  # noqa: B023 - called at once
            except stripe.APIError as error:
                original = stuck(error)
                if original is None:
                    raise
                key = f"{key}.{original}"
        raise ProviderUndecidedError("the payment provider has stored an error under every key")


def _nothing() -> None:
    """Intents are not searched: an extra one is never confirmed, and harmless."""


def _path(provider_id: str, operation: str = "") -> str:
    return f"/{quote(provider_id, safe='')}/{operation}".rstrip("/")


def _fresh_key() -> stripe.RequestOptions:
    return {"idempotency_key": new_id()}
