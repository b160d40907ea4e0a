"""A shop with its real use cases and handlers, on simulated databases, with a simulated broker and provider.

The broker reorders, repeats and delays messages, and loses unconfirmed ones. A worker dies at any crash point, also
between its commit and its acknowledgement. While one worker waits for the provider or is between two transactions,
others continue. Sweeps, cancellations and refunds happen at any time, and inboxes are pruned. Dead letters are stored
and replayed at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import Conflict, Rejected, classify
from common.messaging.events import MessageContext
from common.money import Money
from services.inventory import usecases as inventory
from services.orders import timeouts
from services.orders import usecases as orders
from services.orders.domain import OPEN, WantedItem
from services.payments import open_cases, refunding
from services.payments import usecases as payments
from tests.schedules.provider import BAD, GOOD, INVALID
from tests.schedules.simulation import PRICE, SKU, UNCOUNTED, Simulation

if TYPE_CHECKING:
    from collections.abc import Callable


MAX_ORDERS = 3
MAX_ROUNDS = 60


@dataclass
class Shop(Simulation):
    """The actions of customers, operators, sweeps and the provider."""

    def step(self) -> None:
        """One thing happens, whichever the schedule says."""
        self.do(_ACTIONS[self.choices.take(len(_ACTIONS))])

    # ---- actions of people and sweeps -----------------------------------------------------------------------------

    def place(self) -> None:
        if len(self.placed) == MAX_ORDERS:
            return
        method = (GOOD, GOOD, BAD, INVALID)[self.choices.take(4)]
        items = [WantedItem(SKU, 1)]
        request = orders.PlaceOrder(customer_id="ann", key="", fingerprint="", items=items, payment_method=method)
        self.story.append(f"order {len(self.placed)} with {method}")
        try:
            orders.place_order(self.orders, request, MessageContext("request"))
        finally:  # the order exists even if the response was lost
            known = set(self.placed)
            self.placed.extend(order.id for order in self.orders.all("orders") if order.id not in known)

    def cancel(self) -> None:
        if order_id := self._any_order():
            self.story.append(f"cancel {self._named(order_id)}")
            self._try(
                lambda: orders.cancel_order(
                    self.orders,
                    order_id,
                    customer_id=None,
                    request_key=None,
                    render=lambda _: {},
                    message_context=MessageContext("request"),
                )
            )

    def time_out(self) -> None:
        self.story.append("time-outs")
        timeouts.cancel_overdue_orders(self.orders, reading=0, bound_seconds=0, limit=9, should_continue=lambda: True)

    def refund(self) -> None:
        order_id = self._any_order()
        if order_id and ("payments", order_id) in self.payments.rows:
            self.story.append(f"refund of half of {self._named(order_id)}")
            amount: Any = Money(PRICE // 2, "usd")
            request = refunding.RefundRequest(payment_id=order_id, amount=amount, reason="goodwill")
            self._try(
                lambda: refunding.refund_payment(
                    self.works_on["payments"],
                    request,
                    request_key=None,
                    render=lambda *_: {},
                    message_context=MessageContext("request"),
                )
            )

    def decide(self) -> None:
        """An operator decides about a refund that the provider refuses."""
        ids = [each.order_id for each in self.payments.all("payments") if each.refusal and each.refusal.is_open]
        if not ids:
            return
        order_id = ids[self.choices.take(len(ids))]
        decision = self.choices.take(3)
        self.story.append(f"an operator decides about {self._named(order_id)}: {('retry', 'half', 'all')[decision]}")
        amount: Any = Money(PRICE // 4, "usd") if decision == 1 else None
        retry = open_cases.RetryRefund(payment_id=order_id, reason="again", requested_by="ann")
        record = open_cases.RecordRefund(
            payment_id=order_id,
            amount=amount,
            reason="cash",
            reference=None,
            provider_refund_id=None,
            recorded_by="ann",
        )
        keys: dict[str, Any] = {
            "request_key": None,
            "render": lambda _: {},
            "message_context": MessageContext("request"),
        }
        resources = self.works_on["payments"]
        self._try(
            lambda: (
                open_cases.record_refund(resources, record, **keys)
                if decision
                else open_cases.retry_refund(resources, retry, **keys)
            )
        )

    def sweep_payments(self) -> None:
        self.story.append("sweep: settle")
        self._try(
            lambda: payments.settle_unsettled(
                self.works_on["payments"], idle_seconds=0, limit=9, should_continue=lambda: True
            )
        )

    def ask(self) -> None:
        self.story.append("sweep: ask about overdue")
        inventory.ask_about_overdue(self.inventory, held_seconds=0, limit=9)
        payments.ask_about_overdue(self.payments, quiet_seconds=0, limit=9)

    def prune(self) -> None:
        self.story.append("inboxes pruned")
        for tables in self.tables.values():
            tables.handled.clear()

    # ---- the end -------------------------------------------------------------------------------------------------

    def drain(self) -> bool:
        """Continue without failures until the shop is idle; returns whether it became idle."""
        self.choices.end()
        self.story.append("from here on all goes well")
        for number in range(MAX_ROUNDS):
            self._carry()
            self.decide()
            self.sweep_payments()
            waits = any(order.status in OPEN for order in self.orders.all("orders"))
            if waits and number > 2:
                self.time_out()
            if not self._moves:
                self.ask()
                if not self._moves and not waits:
                    return True
        return False

    def _try(self, call: Callable[[], object]) -> None:
        """Make a request or run a sweep; rejections and outages are ignored."""
        try:
            call()
        except Conflict as refusal:
            self.story.append(f"  refused: {refusal.code}")
        except Exception as error:
            if classify(error) not in (*UNCOUNTED, Rejected):
                raise
            self.story.append(f"  failed: {error!r}")

    def _any_order(self) -> str | None:
        return self.placed[self.choices.take(len(self.placed))] if self.placed else None


_ACTIONS = (
    *(Shop.deliver,) * 16,
    *(Shop.relay,) * 12,
    Shop.place,
    Shop.cancel,
    Shop.time_out,
    Shop.refund,
    *(Shop.decide,) * 4,
    Shop.sweep_payments,
    Shop.ask,
    Shop.prune,
)
