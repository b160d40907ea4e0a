"""A shop with its real use cases and handlers, on simulated databases, with a simulated broker and provider.

The broker delivers in any order, again, and late; it loses what it did not confirm; a worker dies at any named place,
also between its commit and its acknowledgement; while one of them waits for the provider or stands between two
transactions, others go on. Sweeps, a customer who cancels and an operator who refunds come at any time, the inboxes are
pruned, letters are put aside and replayed at the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.errors import Conflict, LockTimeout, Rejected, Unavailable, Undecided, classify
from common.messaging.events import Event, MessageContext
from common.messaging.inbox import AlreadyHandled, Delivery
from common.money import Money
from services.inventory import usecases as inventory
from services.inventory.domain import Stock
from services.orders import timeouts
from services.orders import usecases as orders
from services.orders.domain import OPEN, WantedItem
from services.payments import open_cases, refunding
from services.payments import usecases as payments
from services.payments.resources import Resources
from tests.schedules.provider import BAD, GOOD, INVALID, SimulatedProvider
from tests.schedules.tables import Tables
from workers.inventory.consumers import HANDLERS as INVENTORY
from workers.orders.consumers import HANDLERS as ORDERS
from workers.payments.consumers import HANDLERS as PAYMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.schedules.choices import Choices

SKU, PRICE, STOCK = "TEA", 400, 2
MAX_ORDERS = 3
MAX_DEPTH = 2
MAX_ROUNDS = 60
# What the consumer parks without counting an attempt.
_UNCOUNTED = (Unavailable, Undecided, LockTimeout)
HANDLERS: dict[str, Any] = {"orders": ORDERS, "inventory": INVENTORY, "payments": PAYMENTS}


class Crash(BaseException):
    """The process is gone, in the middle of something. Nothing may catch it but the simulation."""


@dataclass
class Message:
    consumer: str
    event: Event
    attempts: int = 0


@dataclass
class Shop:
    choices: Choices
    orders: Tables = field(default_factory=Tables)
    inventory: Tables = field(default_factory=Tables)
    payments: Tables = field(default_factory=Tables)
    queue: list[Message] = field(default_factory=list)
    letters: list[Message] = field(default_factory=list)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)  # dead letters to be, which nobody will replay
    refused: list[str] = field(default_factory=list)
    archive: dict[tuple[str, str, int], str] = field(default_factory=dict)
    placed: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    depth: int = 0

    def __post_init__(self) -> None:
        self.provider = SimulatedProvider(self.choices.take, self.at)
        self.orders.rows["prices", SKU] = Money(PRICE, "usd")
        self.inventory.rows["stock", SKU] = Stock(on_hand=STOCK)
        resources: Any = Resources(self.payments, self.provider)  # type: ignore[arg-type]  # both are simulated
        self.works_on: dict[str, Any] = {"orders": self.orders, "inventory": self.inventory, "payments": resources}
        self.tables = {"orders": self.orders, "inventory": self.inventory, "payments": self.payments}

    # ---- where others may break in ------------------------------------------------------------------------------

    def at(self, place: str) -> None:
        """A named place: the process may die here; outside of transactions others may act first."""
        fate = self.choices.take(32 if place.startswith(("orders", "inbox")) else 12)
        if fate in {11, 31}:
            self.story.append(f"crash at {place}")
            raise Crash
        if fate in {8, 9, 10, 28} and self.depth < MAX_DEPTH and not any(each.is_open for each in self.tables.values()):
            self.story.append(f"concurrently, at {place}:")
            self.step()

    def step(self) -> None:
        """One thing happens, whichever the schedule says."""
        self.do(_ACTIONS[self.choices.take(len(_ACTIONS))])

    def do(self, action: Callable[[Shop], None]) -> None:
        self.depth += 1
        try:
            action(self)
        except Crash:
            pass
        finally:
            self.depth -= 1

    # ---- what people and time do ---------------------------------------------------------------------------------

    def place(self) -> None:
        if len(self.placed) == MAX_ORDERS:
            return
        method = (GOOD, GOOD, BAD, INVALID)[self.choices.take(4)]
        items = [WantedItem(SKU, 1)]
        request = orders.PlaceOrder(customer_id="ann", key="", fingerprint="", items=items, payment_method=method)
        self.story.append(f"order {len(self.placed)} with {method}")
        try:
            orders.place_order(self.orders, request, MessageContext("request"))  # type: ignore[arg-type]
        finally:  # it is an order also if the answer was lost
            known = set(self.placed)
            self.placed.extend(order.id for order in self.orders.all("orders") if order.id not in known)

    def cancel(self) -> None:
        if order_id := self._any_order():
            self.story.append(f"cancel {self._named(order_id)}")
            self._try(
                lambda: orders.cancel_order(
                    self.orders,  # type: ignore[arg-type]
                    order_id,
                    customer_id=None,
                    request_key=None,
                    render=lambda _: {},
                    message_context=MessageContext("request"),
                )
            )

    def time_out(self) -> None:
        self.story.append("time-outs")
        timeouts.cancel_overdue_orders(self.orders, reading=0, bound_seconds=0, limit=9, should_continue=lambda: True)  # type: ignore[arg-type]

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
        inventory.ask_about_overdue(self.inventory, held_seconds=0, limit=9)  # type: ignore[arg-type]
        payments.ask_about_overdue(self.payments, quiet_seconds=0, limit=9)  # type: ignore[arg-type]

    def prune(self) -> None:
        self.story.append("inboxes pruned")
        for tables in self.tables.values():
            tables.handled.clear()

    # ---- the relay and the broker ----------------------------------------------------------------------------------

    def relay(self) -> None:
        waiting = [tables.outbox for tables in self.tables.values() if tables.outbox]
        if not waiting:
            return
        outbox = waiting[self.choices.take(len(waiting))]
        for position, event in list(outbox.items()):
            fate = self.choices.take(16)
            if fate != 15:  # else: lost on the way, and not confirmed
                self._publish(event)
            if fate < 14:  # else: the confirm was lost, or the relay died before it deleted the row
                outbox.pop(position, None)

    def _publish(self, event: Event) -> None:
        first = self.archive.setdefault((event.source, event.subject, event.sequence), event.id)
        if first != event.id:
            self.refused.append(f"two events are number {event.sequence} of {event.source} about an order")
        for consumer, handlers in HANDLERS.items():
            if self.lost[consumer, event.type] > 0:
                self.lost[consumer, event.type] -= 1
            elif event.type in handlers:
                self.queue.append(Message(consumer, event))

    def deliver(self) -> None:
        """Any message that waits, in any order; its worker may die, also after its work and before the ack."""
        if not self.queue:
            return
        message = self.queue.pop(self.choices.take(len(self.queue)))
        fate = self.choices.take(32)
        if fate == 31:
            self.story.append(f"put aside: {self._described(message)}")
            self.letters.append(message)
            return
        if fate >= 28:
            self.queue.append(message)  # it comes again, perhaps while this one is worked on
        if self._handle(message) and fate not in {26, 27}:
            return
        self.queue.append(message)  # nobody acknowledged it

    def _handle(self, message: Message) -> bool:
        """Whether the message may be acknowledged."""
        self.story.append(self._described(message))
        handler = HANDLERS[message.consumer][message.event.type]
        try:
            handler(Delivery(message.consumer, message.event), self.works_on[message.consumer])
        except AlreadyHandled:
            return True
        except Crash:
            return False
        except Exception as error:  # noqa: BLE001 - sorted here as the consumer does
            return self._pass_on(message, error)
        return True

    def _pass_on(self, message: Message, error: Exception) -> bool:
        if classify(error) in _UNCOUNTED:
            return False
        if isinstance(error, open_cases.OpenCaseError):
            self.letters.append(message)  # until somebody has decided
            return True
        message.attempts += 1
        if classify(error) is Rejected or message.attempts > 5:
            self.refused.append(f"{self._described(message)}: {error!r}")
            return True
        return False

    # ---- the end -------------------------------------------------------------------------------------------------

    def drain(self) -> bool:
        """Let everything go smoothly until nothing moves any more: whether it came to that."""
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

    @property
    def _moves(self) -> bool:
        return bool(self.queue or self.letters) or any(tables.outbox for tables in self.tables.values())

    def _carry(self) -> None:
        self.queue.extend(self.letters)
        self.letters.clear()
        for tables in self.tables.values():
            while tables.outbox:
                self._publish(tables.outbox.pop(min(tables.outbox)))
        for _ in range(len(self.queue)):
            self.deliver()

    def _try(self, call: Callable[[], object]) -> None:
        """A request or a sweep: a refusal is an answer, an outage is waited out."""
        try:
            call()
        except Conflict as refusal:
            self.story.append(f"  refused: {refusal.code}")
        except Exception as error:
            if classify(error) not in (*_UNCOUNTED, Rejected):
                raise
            self.story.append(f"  failed: {error!r}")

    def _any_order(self) -> str | None:
        return self.placed[self.choices.take(len(self.placed))] if self.placed else None

    def _named(self, order_id: str) -> str:
        return f"order {self.placed.index(order_id)}" if order_id in self.placed else "an order"

    def _described(self, message: Message) -> str:
        return f"{message.consumer} receives {message.event.type} of {self._named(message.event.subject)}"


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
