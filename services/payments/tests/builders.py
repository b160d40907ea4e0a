"""Builders for the tests of payments: facts about orders, and the amounts here and at the provider."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.errors import Contention, LockTimeout, Unavailable, Undecided, classify
from common.messaging.events import Contract, MessageContext, from_json, new_id
from common.messaging.inbox import AlreadyHandled, Delivery
from common.money import Money
from common.schemas import TolerantSchema
from common.storage.postgresql import autocommit
from services.payments import facts, models, usecases
from services.payments.domain import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import stripe
    from sqlalchemy import Engine

    from common.messaging.events import Event
    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.domain import Payment
    from services.payments.resources import Resources

MESSAGE_CONTEXT = MessageContext("test")
CUSTOMER = "customer-1"
AMOUNT = 1999
THREADS = 16
WAIT_SECONDS = 60
PLACED, RESERVED, CANCELLED = "order.placed.v1", "stock.reserved.v1", "order.cancelled.v1"


def new_order() -> str:
    return new_id()


def delivery(event_type: str, order_id: str) -> Delivery:
    """A new event about the order; use cases do not read its data."""
    contract = Contract(event_type, "/services/elsewhere", TolerantSchema(), "")
    return Delivery(
        "payments",
        contract.event(subject=order_id, sequence=1, data={}, message_context=MESSAGE_CONTEXT, order_id=order_id),
    )


def deliver(
    resources: Resources,
    event_type: str,
    order_id: str,
    *,
    incoming: Delivery | None = None,
    method: str = "pm_card_visa",
    amount: int = AMOUNT,
) -> None:
    """Deliver a fact to payments; without `incoming` by a new event, unknown to the inbox."""
    incoming = incoming or delivery(event_type, order_id)
    if event_type == PLACED:
        usecases.add_fact(
            resources, incoming, facts.order_placed(order_id, Terms(CUSTOMER, Money(amount, "usd"), method))
        )
    elif event_type == RESERVED:
        usecases.add_fact(resources, incoming, facts.stock_reserved(order_id))
    else:
        usecases.add_fact(resources, incoming, facts.order_cancelled(order_id))


def place(resources: Resources, order_id: str, method: str = "pm_card_visa", amount: int = AMOUNT) -> None:
    deliver(resources, PLACED, order_id, method=method, amount=amount)


def reserve(resources: Resources, order_id: str) -> None:
    deliver(resources, RESERVED, order_id)


def cancel(resources: Resources, order_id: str) -> None:
    deliver(resources, CANCELLED, order_id)


def captured(resources: Resources, amount: int = AMOUNT) -> Payment:
    """A payment that was captured."""
    order = new_order()
    place(resources, order, amount=amount)
    reserve(resources, order)
    return payment_of(resources.engine, order)


def payment_of(engine: Engine, order_id: str) -> Payment:
    with autocommit(engine) as connection:
        payment = models.of_order(connection, order_id)
    assert payment is not None
    return payment


def status_of(engine: Engine, order_id: str) -> str:
    return payment_of(engine, order_id).status.value


def published(engine: Engine, order_id: str) -> list[Event]:
    """The order's events in the outbox, in order."""
    with autocommit(engine) as connection:
        bodies = connection.execute(text("SELECT body FROM outbox ORDER BY position")).scalars()
        events = [from_json(body) for body in bodies]
    return [event for event in events if event.subject == order_id]


def published_types(engine: Engine, order_id: str) -> list[str]:
    """The types of those events, shortened: `captured`, `declined`, `refunded`."""
    return [event.type.split(".")[1] for event in published(engine, order_id)]


@dataclass(frozen=True)
class Held:
    """An order's amounts in the provider's ledger."""

    intents: int
    charges: int
    captured: int
    refunded: int
    statuses: tuple[str, ...]

    @property
    def net(self) -> int:
        return self.captured - self.refunded


def held_by(sandbox: SandboxProcess, order_id: str) -> Held:
    client = sandbox.client()
    intents = [found for found in _all(client.v1.payment_intents) if _order_of(found) == order_id]
    refunds = [made for found in intents for made in _all(client.v1.refunds, payment_intent=found.id)]
    return Held(
        intents=len(intents),
        charges=sum(found.status == "succeeded" for found in intents),
        captured=sum(found.amount_received for found in intents),
        refunded=sum(made.amount for made in refunds if made.status == "succeeded"),
        statuses=tuple(sorted(found.status for found in intents)),
    )


def check_books(engine: Engine, sandbox: SandboxProcess, order_id: str) -> None:
    """Check that the row agrees with the provider's ledger, and that events are numbered 1 to the row's version."""
    payment, held = payment_of(engine, order_id), held_by(sandbox, order_id)
    events = published(engine, order_id)
    assert [event.sequence for event in events] == list(range(1, payment.version + 1))
    assert held.charges <= 1
    assert held.refunded == payment.refunded == sum(_amount(event) for event in events if "refunded" in event.type)
    assert held.captured == sum(_amount(event) for event in events if "captured" in event.type)
    assert held.net == payment.remaining
    if payment.cancel_requested:
        assert held.net == 0


def together(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """Make all calls concurrently, each in its own thread; returns each result, or the exception that it raised."""
    work = list(calls)
    barrier = Barrier(len(work), timeout=WAIT_SECONDS)

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    with ThreadPoolExecutor(len(work)) as executor:
        return [future.result(2 * WAIT_SECONDS) for future in [executor.submit(run, call) for call in work]]


def until_done(call: Callable[[], None]) -> str:
    """Retry like the consumer: later while the provider is down, at once after a deadlock."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            call()
        except AlreadyHandled:
            return "duplicate"
        except Exception as error:
            if classify(error) not in (Unavailable, Undecided, Contention, LockTimeout):
                raise
            time.sleep(0.01)
        else:
            return "done"
    raise AssertionError("it never got done")


def _amount(event: Event) -> int:
    amount: int = event.data["amount"]["amount"]
    return amount


def _order_of(intent: stripe.PaymentIntent) -> str | None:
    metadata: dict[str, str] = intent.to_dict().get("metadata") or {}
    return metadata.get("order_id")


def _all(service: Any, **filters: Any) -> list[Any]:
    return list(service.list({"limit": 100} | filters).auto_paging_iter())
