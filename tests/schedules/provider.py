"""The provider of a schedule: intents and refunds by Stripe's rules, keys that it may forget, answers that get lost.

It replaces `services.payments.provider.Provider`, whose use of Stripe's client is tested separately.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.payments.domain import Intent, IntentState, Payment, Refund, RefundStatus, Terms
from services.payments.stripe_mapping import ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD, BAD, INVALID = "pm_good", "pm_bad", "pm_invalid"


@dataclass
class Made:
    order_id: str
    amount: int
    method: str
    state: IntentState = IntentState.OPEN


@dataclass
class SimulatedProvider:
    """`chance(name, n)` returns 0 .. n-1, mostly 0; `at(name)` may run other actors, or crash."""

    chance: Callable[[int], int]
    at: Callable[[str], None]
    intents: dict[str, Made] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    refunds: dict[str, tuple[str, int]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    refund_retry_seconds: float = 60.0

    def create(self, payment: Payment, terms: Terms) -> Intent:
        lost = self._call()
        if terms.method == INVALID:
            return Intent(None, IntentState.REFUSED, "invalid")
        if payment.id not in self.keys or self.chance(16) == 15:  # the key was forgotten
            self.keys[payment.id] = f"pi_{len(self.intents)}"
            self.intents[self.keys[payment.id]] = Made(payment.order_id, terms.amount.amount, terms.method)
        self._answer(lost)
        return Intent(self.keys[payment.id], IntentState.OPEN)

    def retrieve(self, provider_id: str) -> Intent:
        self._answer(self._call())
        return self._intent(provider_id)

    def confirm(self, provider_id: str) -> Intent:
        lost = self._call()
        made = self.intents[provider_id]
        if made.state is IntentState.OPEN:
            made.state = IntentState.SUCCEEDED if made.method == GOOD else IntentState.REFUSED
        self._answer(lost)
        return self._intent(provider_id)

    def cancel(self, provider_id: str) -> Intent:
        lost = self._call()
        made = self.intents[provider_id]
        if made.state is not IntentState.SUCCEEDED:
            made.state = IntentState.CANCELED
        self._answer(lost)
        return self._intent(provider_id)

    def refund(self, provider_id: str, refund: Refund) -> tuple[str | None, RefundStatus, str | None]:
        lost = self._call()
        left = self.captured(self.intents[provider_id].order_id) - self.refunded(self.intents[provider_id].order_id)
        if refund.id not in self.refunds:
            if refund.id in self.refused or self.chance(2) == 1:
                self.refused.add(refund.id)
                return None, RefundStatus.FAILED, "charge_disputed"
            if refund.amount > left:
                return None, RefundStatus.FAILED, "charge_already_refunded"
            self.refunds[refund.id] = (provider_id, refund.amount)
        self._answer(lost)
        return f"re_{refund.id}", RefundStatus.SUCCEEDED, None

    def captured(self, order_id: str) -> int:
        return sum(each.amount for each in self._captured(order_id))

    def captures(self, order_id: str) -> int:
        return len(self._captured(order_id))

    def refunded(self, order_id: str) -> int:
        return sum(amount for intent, amount in self.refunds.values() if self.intents[intent].order_id == order_id)

    def _captured(self, order_id: str) -> list[Made]:
        return [
            each for each in self.intents.values() if each.order_id == order_id and each.state is IntentState.SUCCEEDED
        ]

    def _intent(self, provider_id: str) -> Intent:
        state = self.intents[provider_id].state
        return Intent(provider_id, state, "refused" if state is IntentState.REFUSED else None)

    def _call(self) -> bool:
        """Simulate the network: the request may be lost. Returns whether the response will be lost."""
        self.at("provider.asked")
        fate = self.chance(16)
        if fate == 15:
            raise ProviderUnavailable("the request was lost")
        return fate == 14

    def _answer(self, lost: bool) -> None:
        if lost:
            raise ProviderUnavailable("the answer was lost")
        self.at("provider.answered")
