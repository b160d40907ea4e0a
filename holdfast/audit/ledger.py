"""The payment provider's own books, by Stripe's API."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import stripe

from holdfast.audit.views import Charge

PAGE = 100
NOT_RETURNED = frozenset({"failed", "canceled"})
CLOCKS_SECONDS = 300  # the tolerated clock skew of the provider


class Ledger:
    """`url` None is Stripe itself."""

    def __init__(self, key: str, url: str | None) -> None:
        http = stripe.RequestsClient(timeout=15)
        self._stripe = stripe.StripeClient(key, base_addresses={"api": url} if url else {}, http_client=http)

    def charges(self, since: str | None = None) -> dict[str, list[Charge]]:
        """Every intent that names an order, by that order; only those created `since` a time (RFC 3339), if given."""
        query: Any = {"limit": PAGE}
        if since is not None:
            query["created"] = {"gte": int(datetime.fromisoformat(since).timestamp()) - CLOCKS_SECONDS}
        refunded: Counter[str] = Counter()
        # Refunds last: a refund must not be read without its capture.
        intents = list(self._stripe.v1.payment_intents.list(query).auto_paging_iter())
        for refund in self._stripe.v1.refunds.list(query).auto_paging_iter():
            if refund.status not in NOT_RETURNED and refund.payment_intent:
                refunded[_id(refund.payment_intent)] += refund.amount
        by_order: dict[str, list[Charge]] = defaultdict(list)
        for intent in intents:
            if "order_id" in (intent.metadata or {}):
                charge = _charge(intent, refunded[intent.id])
                by_order[charge.order_id].append(charge)
        return by_order


def _charge(intent: Any, refunded: int) -> Charge:
    values = intent.to_dict()
    captured = values["amount_received"] if values["status"] == "succeeded" else 0
    return Charge(values["id"], (values["metadata"] or {}).get("order_id", ""), captured, refunded, values["currency"])


def _id(value: Any) -> str:
    return value if isinstance(value, str) else str(value.id)
