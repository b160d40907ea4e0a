"""The plain chain with the same visible work as Holdfast, without its guarantees.

The payment provider is asked to create and to confirm an intent, and each event of the order is a MongoDB document:
five of them, as Holdfast archives. Each thread keeps a connection to the provider.
"""

from __future__ import annotations

import json
import os
import uuid
from typing import Any

import urllib3
from pymongo import MongoClient

PROVIDER_SECONDS = 10
INTENT = {
    "amount": "790",
    "currency": "usd",
    "payment_method": "pm_card_visa",
    "payment_method_types[]": "card",
}
EVENTS = {
    "reserve": ("order.placed", "stock.reserved"),
    "charge": ("payment.captured",),
    "confirm": ("order.confirmed",),
    "sell": ("stock.sold",),
}


class VisibleWork:
    def __init__(self) -> None:
        self._events = MongoClient[dict[str, Any]](os.environ["MONGODB_URL"])["plain"]["events"]
        self._events.create_index("order_id")
        self._address = os.environ["STRIPE_API_BASE"]
        self._provider = urllib3.PoolManager(
            maxsize=64, timeout=PROVIDER_SECONDS, retries=False, headers={"Authorization": "Bearer sk_test_plain"}
        )

    def do(self, step: str, order_id: str) -> None:
        """Do the visible work of this step of the order."""
        if step == "charge":
            self._charge(order_id)
        self._events.insert_many([{"_id": str(uuid.uuid4()), "order_id": order_id, "type": e} for e in EVENTS[step]])

    def _charge(self, order_id: str) -> None:
        intent = self._post("/v1/payment_intents", INTENT | {"metadata[order_id]": order_id})
        self._post(f"/v1/payment_intents/{intent['id']}/confirm", {})

    def _post(self, path: str, fields: dict[str, str]) -> dict[str, Any]:
        reply = self._provider.request("POST", self._address + path, fields=fields, encode_multipart=False)
        found: dict[str, Any] = json.loads(reply.data)
        if reply.status != 200:
            message = f"the provider refused: {found}"
            raise RuntimeError(message)
        return found
