"""The payment provider, by Stripe's official client: the only file that talks to it.

Guarantees: every call is bounded in time and made once (the caller's repetition looks first); a refusal is an answer,
never an exception; what Stripe's client raises otherwise is for `common.errors.classify`. An intent is made with its
card and confirmed without naming one, so it sees one attempt on the card: once refused, a second confirmation finds
nothing to charge. It does not promise to notice an answer that trickles in slower and slower (each read is bounded,
not their sum), nor a refund that Stripe accepts and whose bank sends it back days later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import stripe

from common.messaging.events import new_id
from common.observability import tracing
from common.resilience.circuit_breaker import Breaker
from common.setting_checks import HTTP_URL, between
from common.settings import MAX_FAILURES, setting
from services.payments.domain import Intent, IntentState, RefundStatus
from services.payments.stripe_mapping import (
    UNEXPECTED_STATE,
    ForeignRefundError,
    ProviderUndecidedError,
    ask,
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
CONNECT_SECONDS = 2.0
MAX_KEYS = 5
MAX_REFUNDS_READ = 1_000
_ANSWERS = (stripe.CardError, stripe.InvalidRequestError)


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """Which account is paid, where, how long a call may wait, and when a refused refund is first tried again.

    Stripe's own address is the default.
    """

    stripe_api_key: str = setting(
        "STRIPE_API_KEY", meaning="Secret key of the Stripe account. The sandbox takes any that begins with sk_test_."
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
        meaning="Longest wait for an answer of the payment provider, in seconds.",
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
    """The provider of a process. Thread-safe: each thread gets connections of its own."""
    seconds = settings.stripe_timeout_seconds
    stripe.enable_telemetry = False  # it would write into the home directory
    client = stripe.StripeClient(
        settings.stripe_api_key,
        base_addresses={"api": settings.stripe_api_base.rstrip("/")},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(min(CONNECT_SECONDS, seconds), seconds)),
    )
    breaker = Breaker("payment_provider", max_failures=settings.circuit_breaker_max_failures)
    return Provider(client, breaker, refund_retry_seconds=settings.refund_retry_seconds)


class Provider:
    def __init__(self, client: stripe.StripeClient, breaker: Breaker, *, refund_retry_seconds: float) -> None:
        self.refund_retry_seconds = refund_retry_seconds
        self._breaker = breaker
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    def create(self, payment: Payment, terms: Terms) -> Intent:
        """An unconfirmed intent, or what the provider has against it. The same payment gets the same one."""
        params: Any = {
            "amount": terms.amount.amount,
            "currency": terms.amount.currency,
            "payment_method": terms.method,
            "payment_method_types": ["card"],
            "metadata": {"order_id": payment.order_id, "payment_id": payment.id},
        }
        try:
            made = self._under_key(
                "create", payment.id, lambda options: self._intents.create(params, options), _nothing
            )
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return Intent(None, IntentState.REFUSED, refusal(error))
        return read_intent(made)

    def retrieve(self, provider_id: str) -> Intent:
        try:
            return read_intent(self._ask("retrieve", lambda: self._intents.retrieve(provider_id)), provider_id)
        except stripe.InvalidRequestError as error:
            refusal(error)  # names the intent that is missing
            raise

    def confirm(self, provider_id: str) -> Intent:
        """Charge. The key is fresh: what an earlier attempt came to is seen by `retrieve`, not by its key."""
        try:
            answer = self._ask(
                "confirm", lambda: self._intents.confirm(provider_id, {"error_on_requires_action": True}, _fresh_key())
            )
        except stripe.CardError as error:
            return Intent(provider_id, IntentState.REFUSED, refusal(error))
        except stripe.InvalidRequestError as error:
            return self._look_again(provider_id, error)
        return read_intent(answer, provider_id)

    def cancel(self, provider_id: str) -> Intent:
        """Cancel, or tell that it is too late: the answer's state is CANCELED or SUCCEEDED."""
        try:
            answer = self._ask("cancel", lambda: self._intents.cancel(provider_id, {}, _fresh_key()))
            seen = read_intent(answer, provider_id)
        except stripe.InvalidRequestError as error:
            refusal(error)
            seen = self.retrieve(provider_id)
        if seen.state not in (IntentState.CANCELED, IntentState.SUCCEEDED):
            raise ProviderUndecidedError("the payment provider does not cancel the intent")
        return seen

    def refund(self, provider_id: str, refund: Refund) -> tuple[str | None, RefundStatus, str | None]:
        """Give back: the refund's id at the provider, how it ended, and why if it failed. Looks before it acts.

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
            there = find()  # refused because somebody was there before, or for what it is?
            if there is None:
                return None, RefundStatus.FAILED, code
            made = there
        refund_id, status = read_refund(made)
        return refund_id, status, refund_failure(made) if status is RefundStatus.FAILED else None

    def find_foreign_refund(self, provider_id: str, refund_id: str) -> int:
        """The amount of a refund that was made at the provider past us. Raises `ForeignRefundError` if it is none."""
        try:
            made = self._ask("retrieve refund", lambda: self._refunds.retrieve(refund_id))
        except stripe.InvalidRequestError as error:
            message = f"the payment provider does not know this refund: {refusal(error)}"
            raise ForeignRefundError(message) from error
        return read_foreign_refund(made, provider_id)

    def probe(self) -> None:
        """Ask for a sign of life. Raises as the calls above do while the provider is away."""
        self._ask("list", lambda: self._intents.list({"limit": 1}))

    def _look_again(self, provider_id: str, error: stripe.InvalidRequestError) -> Intent:
        """A confirmation was refused: because somebody was there before, or for what it is?"""
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
                    raise ProviderUndecidedError("too many refunds of one intent to look through")
            return None

        return self._ask("list refunds", search)

    def _ask(self, operation: str, call: Callable[[], T]) -> T:
        attributes = {"peer.service": self._breaker.name, "holdfast.operation": operation}
        name = f"{self._breaker.name} {operation}"
        with self._breaker.guard(), tracing.child(name, "client", attributes, answers=_ANSWERS):
            return ask(call)

    def _under_key(
        self, operation: str, key: str, call: Callable[[stripe.RequestOptions], T], find: Callable[[], T | None]
    ) -> T:
        """Make something once, under `key`, unless `find` finds it.

        A key that saw a 500 answers that 500 for as long as it is remembered. Its request has ended, so another look
        tells for good whether it came to something. If not, the next key follows from that request: everybody who
        meets the same stored answer goes on under the same key.
        """
        for _ in range(MAX_KEYS):
            if (there := find()) is not None:
                return there
            options: stripe.RequestOptions = {"idempotency_key": key}
            try:
                return self._ask(operation, lambda: call(options))  # noqa: B023 - called at once
            except stripe.APIError as error:
                original = stuck(error)
                if original is None:
                    raise
                key = f"{key}.{original}"
        raise ProviderUndecidedError("the payment provider has stored an error under every key")


def _nothing() -> None:
    """Nobody looks for an intent: one too many is never confirmed, and harms nobody."""


def _fresh_key() -> stripe.RequestOptions:
    return {"idempotency_key": new_id()}
