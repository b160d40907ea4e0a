"""The simulated broker, relay and workers of a schedule: messages are repeated, reordered and lost; processes die."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.errors import LockTimeout, Rejected, Unavailable, Undecided, classify
from common.messaging.inbox import AlreadyHandled, Delivery
from common.money import Money
from services.inventory.domain import Stock
from services.payments import open_cases
from services.payments.resources import Resources
from tests.schedules.provider import SimulatedProvider
from tests.schedules.tables import Tables
from workers.inventory.consumers import HANDLERS as INVENTORY
from workers.orders.consumers import HANDLERS as ORDERS
from workers.payments.consumers import HANDLERS as PAYMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.messaging.events import Event
    from tests.schedules.choices import Choices


SKU, PRICE, STOCK = "TEA", 400, 2
MAX_DEPTH = 2
# Errors after which the consumer parks an event without counting an attempt.
UNCOUNTED = (Unavailable, Undecided, LockTimeout)
HANDLERS: dict[str, Any] = {"orders": ORDERS, "inventory": INVENTORY, "payments": PAYMENTS}


class Crash(BaseException):
    """The process dies here; only the simulation may catch it."""


@dataclass
class Message:
    consumer: str
    event: Event
    attempts: int = 0


@dataclass
class Simulation:
    choices: Choices
    # Replaces the engine of the use cases.
    orders: Any = field(default_factory=Tables)
    inventory: Any = field(default_factory=Tables)
    payments: Any = field(default_factory=Tables)
    queue: list[Message] = field(default_factory=list)
    letters: list[Message] = field(default_factory=list)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)  # dead letters that are never replayed
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

    # ---- interruptions ------------------------------------------------------------------------------

    def at(self, place: str) -> None:
        """A crash point: the process may die here; outside of transactions other actors may act first."""
        fate = self.choices.take(32 if place.startswith(("orders", "inbox")) else 12)
        if fate in {11, 31}:
            self.story.append(f"crash at {place}")
            raise Crash
        if fate in {8, 9, 10, 28} and self.depth < MAX_DEPTH and not any(each.is_open for each in self.tables.values()):
            self.story.append(f"concurrently, at {place}:")
            self.step()

    def step(self) -> None:
        """One thing happens, whichever the schedule says."""
        raise NotImplementedError

    def do(self, action: Callable[[Any], None]) -> None:
        self.depth += 1
        try:
            action(self)
        except Crash:
            pass
        finally:
            self.depth -= 1

    # ---- the relay and the broker ----------------------------------------------------------------------------------

    def relay(self) -> None:
        waiting = [tables.outbox for tables in self.tables.values() if tables.outbox]
        if not waiting:
            return
        outbox = waiting[self.choices.take(len(waiting))]
        for position, event in list(outbox.items()):
            fate = self.choices.take(16)
            if fate != 15:  # else the message is lost and not confirmed
                self._publish(event)
            if fate < 14:  # else the confirm is lost, or the relay dies before it deletes the row
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
        """Deliver any waiting message; its worker may die, also between its work and the ack."""
        if not self.queue:
            return
        message = self.queue.pop(self.choices.take(len(self.queue)))
        fate = self.choices.take(32)
        if fate == 31:
            self.story.append(f"put aside: {self._described(message)}")
            self.letters.append(message)
            return
        if fate >= 28:
            self.queue.append(message)  # a duplicate, perhaps delivered during the first one's handling
        if self._handle(message) and fate not in {26, 27}:
            return
        self.queue.append(message)  # it was not acknowledged

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
        if classify(error) in UNCOUNTED:
            return False
        if isinstance(error, open_cases.OpenCaseError):
            self.letters.append(message)  # until an operator has decided
            return True
        message.attempts += 1
        if classify(error) is Rejected or message.attempts > 5:
            self.refused.append(f"{self._described(message)}: {error!r}")
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

    def _named(self, order_id: str) -> str:
        return f"order {self.placed.index(order_id)}" if order_id in self.placed else "an order"

    def _described(self, message: Message) -> str:
        return f"{message.consumer} receives {message.event.type} of {self._named(message.event.subject)}"
