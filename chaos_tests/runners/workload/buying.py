"""One purchase of a customer: ordered, retried without a response, read, cancelled.

A purchase has one Idempotency-Key for all retries.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from chaos_tests.runners.history import FAIL, INFO, OK

if TYPE_CHECKING:
    from chaos_tests.runners.workload.calls import Done, Session
    from chaos_tests.runners.workload.plan import Step
    from chaos_tests.runners.workload.stop_condition import StopCondition

ORDERS = "/api/v1/orders"
PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
LONGEST_PAUSE_SECONDS = 5.0
IMPATIENT_SECONDS = 0.004
FOLLOW_SECONDS = 60.0
# The polling interval grows: with a backlog many orders wait, and each poll slows down the measured system.
SOONEST_SECONDS, SLOWEST_SECONDS, SLOWER = 0.1, 10.0, 1.6
REPEATED, LAST_QUESTIONS = 50, (100, 101)
FINAL = ("confirmed", "cancelled")


class Buyer:
    """A customer with its own connection, for one operation at a time."""

    def __init__(self, session: Session, key: str, stop_condition: StopCondition) -> None:
        self._session, self._key, self._ending = session, key, stop_condition
        self._unanswered: list[Step] = []

    async def execute(self, step: Step) -> None:
        order_id = await self._place_until_answered(step)
        if order_id is None:
            return
        if step.intent == "repeated":
            await self._place(step, REPEATED)
        if step.intent == "cancelled":
            await self._ending.pause(step.cancel_after_seconds)
            await self._cancel(order_id)
        await self._read(step, order_id)

    async def leave(self) -> None:
        """Retry unanswered operations a last time, so that as few as possible stay in doubt."""
        for step in self._unanswered:
            for number in LAST_QUESTIONS:
                if (await self._place(step, number)).type == OK:
                    break
        self._session.close()

    async def _place_until_answered(self, step: Step) -> str | None:
        """The order's id; None if it was rejected, or after a time-out."""
        in_doubt = False
        for attempt, pause in enumerate(PAUSES_SECONDS):
            hurry = IMPATIENT_SECONDS if step.intent == "impatient" and attempt == 0 else None
            done = await self._place(step, attempt, hurry)
            in_doubt = in_doubt or done.type == INFO
            if done.type == OK:
                return str(done.value["id"])
            if done.type == FAIL and not is_passing(done):
                return None
            await self._ending.pause(min(max(pause, done.retry_after_seconds), LONGEST_PAUSE_SECONDS))
            if self._ending.is_met():
                break
        if in_doubt:
            self._unanswered.append(step)
        return None

    async def _place(self, step: Step, attempt: int, patience_seconds: float | None = None) -> Done:
        items = [{"sku": sku, "quantity": quantity} for sku, quantity in step.basket]
        body = {"items": items, "payment_method": step.payment_method}
        key = f"{self._key}-{step.number}"
        value: dict[str, Any] = {"key": key, "attempt": attempt, "intent": step.intent, "basket": dict(step.basket)}
        value |= {"payment_method": step.payment_method} | ({"impatient": True} if patience_seconds else {})
        return await self._session.run("place", value, "POST", ORDERS, body, key=key, patience_seconds=patience_seconds)

    async def _cancel(self, order_id: str) -> None:
        path = f"{ORDERS}/{order_id}/cancel"
        for attempt, pause in enumerate(PAUSES_SECONDS[:3]):
            value = {"id": order_id, "attempt": attempt}
            done = await self._session.run("cancel", value, "POST", path, {}, key=f"cancel-{order_id}")
            if done.type == OK or (done.type == FAIL and not is_passing(done)):
                return
            await self._ending.pause(pause)

    async def _read(self, step: Step, order_id: str) -> None:
        if step.read == "follow":
            await self._follow(order_id)
        elif step.read == "order":
            await self._session.run("read", {"id": order_id}, "GET", f"{ORDERS}/{order_id}")
        elif step.read == "list":
            await self._session.run("list", {}, "GET", f"{ORDERS}?limit=10")
        elif step.read == "product":
            sku = step.basket[0][0]
            await self._session.run("stock", {"sku": sku}, "GET", f"/api/v1/products/{sku}")
        elif step.read == "timeline":
            await self._session.run("timeline", {"id": order_id}, "GET", f"{ORDERS}/{order_id}/timeline")

    async def _follow(self, order_id: str) -> None:
        """Poll an order until it has ended, or for a minute."""
        deadline, pause = time.monotonic() + FOLLOW_SECONDS, SOONEST_SECONDS
        while time.monotonic() < deadline:
            done = await self._session.run("read", {"id": order_id}, "GET", f"{ORDERS}/{order_id}")
            if done.value.get("status") in FINAL or self._ending.is_met():
                return
            await self._ending.pause(pause)
            pause = min(pause * SLOWER, SLOWEST_SECONDS)


def is_passing(done: Done) -> bool:
    """Whether a rejection is temporary: not sent, an expired token, a rate limit."""
    return done.error is None or done.error.startswith(("not sent", "401", "429"))
