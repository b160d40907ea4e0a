"""A webhook receiver and a worker that is killed before it sends: a delivery listed as delivered must have arrived."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from chaos_tests.mutants.mutant import Mutant, Patch
from chaos_tests.mutants.scenarios import killed_at
from holdfast.webhooks.receiver import receiving
from holdfast.webhooks.subscribing import ENDPOINTS, OF_ORDERS, subscribed

if TYPE_CHECKING:
    from chaos_tests.runners.system import System
    from holdfast.client import Client

WORKER = "worker-notifications"
KILLED_BEFORE_SENDING = killed_at("notifications.sending:3", WORKER)
# The lease of a dead worker's turn lasts a minute.
PATIENCE_SECONDS = 150.0


def sender_killed(system: System) -> set[str]:
    """P6 from the receiver's view: a delivery that is listed as delivered but never arrived is lost."""
    operator = system.target().operator(patient=True)
    with receiving() as receiver, subscribed(operator, receiver, OF_ORDERS) as endpoint:
        KILLED_BEFORE_SENDING(system)
        delivered = _delivered(operator, f"{ENDPOINTS}/{endpoint['id']}/deliveries")
        received = [receiver.received.get_nowait() for _ in range(receiver.received.qsize())]
    lost = delivered - {webhook.id for webhook in received if not webhook.problem}
    return {"P6"} if lost else set()


def _delivered(operator: Client, path: str) -> set[str]:
    """The events listed as delivered after nothing waits any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found: list[dict[str, Any]] = list(operator.all(path))
        waiting = [each for each in found if each["status"] == "pending"]
        if found and not waiting:
            return {each["event_id"] for each in found if each["status"] == "delivered"}
        if time.monotonic() > deadline:
            message = f"{len(waiting)} of {len(found)} deliveries still wait"
            raise TimeoutError(message)
        time.sleep(0.5)


DELIVERED_BEFORE_THE_ANSWER = Mutant(
    "delivered-before-the-answer",
    "recording a webhook as delivered only after its response",
    sender_killed,
    (WORKER,),
    (
        Patch(
            "services.notifications.dispatching",
            "            outcome = self._attempt(endpoint, delivery)\n",
            '            models.deliver_early(self.database, delivery["_id"])\n'
            "            outcome = self._attempt(endpoint, delivery)\n",
        ),
        Patch(
            "services.notifications.models",
            "def health_of(",
            "def deliver_early(database: Any, delivery_id: str) -> None:\n"
            '    wanted, values = {"_id": delivery_id}, {"$set": {"status": "delivered"}}\n'
            '    database["deliveries"].update_one(wanted, values)\n\n\n'
            "def health_of(",
        ),
    ),
)
