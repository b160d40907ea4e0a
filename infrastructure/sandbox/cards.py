"""Stripe's test cards, by the PaymentMethod names its documentation gives (docs.stripe.com/testing).

The documentation writes some declines with `visa_` and some without; older code uses the other form, so both are
known. It does not promise Radar's rules, disputes, or cards attached to customers.
"""

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["approve", "decline", "authenticate"]


@dataclass(frozen=True)
class Card:
    """The result of a charge to this card."""

    brand: str
    last4: str
    outcome: Outcome = "approve"
    code: str = ""
    decline_code: str | None = None
    message: str = ""

    def document(self, name: str) -> dict[str, Any]:
        """The PaymentMethod in an error."""
        card = {"brand": self.brand, "country": "US", "exp_month": 12, "exp_year": 2034, "funding": "credit"}
        return {
            "id": name,
            "object": "payment_method",
            "card": {**card, "last4": self.last4},
            "customer": None,
            "livemode": False,
            "metadata": {},
            "type": "card",
        }


def _decline(last4: str, code: str, decline_code: str | None, message: str) -> Card:
    return Card("visa", last4, "decline", code, decline_code, message)


AUTHENTICATION_REQUIRED = _decline(
    "3184",
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
DECLINED = "Your card was declined."

APPROVED = {
    "pm_card_visa": Card("visa", "4242"),
    "pm_card_visa_debit": Card("visa", "5556"),
    "pm_card_mastercard": Card("mastercard", "4444"),
    "pm_card_mastercard_debit": Card("mastercard", "8210"),
    "pm_card_mastercard_prepaid": Card("mastercard", "5100"),
    "pm_card_amex": Card("amex", "0005"),
    "pm_card_discover": Card("discover", "1117"),
    "pm_card_diners": Card("diners", "0004"),
    "pm_card_jcb": Card("jcb", "0505"),
    "pm_card_unionpay": Card("unionpay", "0005"),
    "pm_card_us": Card("visa", "4242"),
    "pm_card_threeDSecureOptional": Card("visa", "3055"),
}

AUTHENTICATED = {
    "pm_card_authenticationRequired": Card("visa", "3184", "authenticate"),
    "pm_card_authenticationRequiredOnSetup": Card("visa", "3155", "authenticate"),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": Card("visa", "3178", "authenticate"),
    "pm_card_threeDSecure2Required": Card("visa", "3220", "authenticate"),
    "pm_card_threeDSecureRequired": Card("visa", "3063", "authenticate"),
}

# The endings that follow `pm_card_` and `pm_card_visa_`. No decline code where the documentation says "n/a".
DECLINES = {
    "chargeDeclined": _decline("0002", "card_declined", "generic_decline", DECLINED),
    "chargeDeclinedInsufficientFunds": _decline(
        "9995", "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "chargeDeclinedLostCard": _decline("9987", "card_declined", "lost_card", DECLINED),
    "chargeDeclinedStolenCard": _decline("9979", "card_declined", "stolen_card", DECLINED),
    "chargeDeclinedExpiredCard": _decline("0069", "expired_card", None, "Your card has expired."),
    "chargeDeclinedIncorrectCvc": _decline("0127", "incorrect_cvc", None, "Your card's security code is incorrect."),
    "chargeDeclinedProcessingError": _decline(
        "0119", "processing_error", None, "An error occurred while processing your card. Try again in a little bit."
    ),
    "chargeDeclinedVelocityLimitExceeded": _decline(
        "6975",
        "card_declined",
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ),
    "chargeDeclinedFraudulent": _decline("0019", "card_declined", "fraudulent", DECLINED),
    "chargeCustomerFail": _decline("0341", "card_declined", "generic_decline", DECLINED),
}

# By the PaymentMethod's name.
CARDS = {
    **APPROVED,
    **AUTHENTICATED,
    **{f"pm_card_{ending}": card for ending, card in DECLINES.items()},
    **{f"pm_card_visa_{ending}": card for ending, card in DECLINES.items()},
    "pm_card_radarBlock": DECLINES["chargeDeclinedFraudulent"],
}
