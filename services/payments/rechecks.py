"""Re-checks a payment at the provider for an operator, and reports the result.

A provider that has not decided is a result, not a failure: the payment stays unchanged, and payments polls again
automatically. A provider that does not answer raises `ProviderUnavailable`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from common.messaging.events import utc_now
from services.payments.stripe_mapping import ProviderUndecidedError, translate_provider_outages
from services.payments.usecases import get_payment, settle_order

if TYPE_CHECKING:
    from datetime import datetime

    from common.messaging.events import MessageContext
    from services.payments.domain import Payment, Status
    from services.payments.resources import Resources


class Outcome(StrEnum):
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class ReCheck:
    """The payment as it is after the check, and its status before it."""

    payment: Payment
    outcome: Outcome
    previous_status: Status
    checked_at: datetime


def re_check(resources: Resources, payment_id: str, message_context: MessageContext) -> ReCheck:
    """Read the provider's state and complete the payment: charge, cancel or refund."""
    before = get_payment(resources.engine, payment_id, customer_id=None)
    is_undecided = False
    try:
        with translate_provider_outages():
            settle_order(resources, before.order_id, message_context)
    except ProviderUndecidedError:
        is_undecided = True
    after = get_payment(resources.engine, payment_id, customer_id=None)
    changed = Outcome.UNCHANGED if after == before else Outcome.CHANGED
    return ReCheck(after, Outcome.UNDECIDED if is_undecided else changed, before.status, utc_now())
