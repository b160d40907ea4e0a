"""A context's database in memory: tables, transactions that roll back, and the statements of the outbox and the inbox.

One thread, so transactions are never concurrent: other actors (`Shop.at`) do not run while one is open.
Each statement of `models.py` is reimplemented here in a line or two; the contexts' own tests check the SQL on a real
server.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from common.messaging import inbox, outbox
from common.messaging.events import utc_now
from services.inventory import domain as stock
from services.inventory.domain import Reservation
from services.orders.models import Findings
from services.payments.domain import ExternalRefund, Payment, Refund, RefundStatus, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from common.messaging.events import Event
    from services.orders.domain import Order
    from services.payments.facts import Fact

NOW = utc_now()


@dataclass
class Result:
    rowcount: int


@dataclass
class Tables:
    """Replaces the engine and its connection."""

    rows: dict[Any, Any] = field(default_factory=dict)  # (table, key) -> row
    outbox: dict[int, Event] = field(default_factory=dict)
    handled: set[tuple[str, str]] = field(default_factory=set)
    info: dict[str, Any] = field(default_factory=dict)
    position: int = 0
    is_open: bool = False

    @contextmanager
    def transaction(self) -> Iterator[Tables]:
        before = dict(self.rows), dict(self.outbox), set(self.handled)
        self.is_open = True
        try:
            yield self
        except BaseException:
            self.rows, self.outbox, self.handled = before
            raise
        finally:
            self.is_open = False

    @contextmanager
    def autocommit(self) -> Iterator[Tables]:
        yield self

    def execute(self, statement: Any, values: Any) -> Result:
        if statement is outbox._INSERT:
            for event in values["bodies"]:
                self.publish(event)
            return Result(len(values["bodies"]))
        assert statement is inbox._INSERT
        key = (values["consumer"], values["event_id"])
        is_new = key not in self.handled
        self.handled.add(key)
        return Result(int(is_new))

    def publish(self, event: Event) -> None:
        self.position += 1
        self.outbox[self.position] = event

    def all(self, table: str) -> list[Any]:
        return [row for (name, _), row in self.rows.items() if name == table]


class OrderTables:
    """Replaces `services.orders.models` and `services.orders.clock`."""

    @staticmethod
    def find_for_placing(tables: Tables, **values: Any) -> Findings:
        return Findings(None, {sku: tables.rows["prices", sku] for sku in values["skus"]}, None)

    @staticmethod
    def insert_placed(tables: Tables, order: Order, *, outbox_row: Any, **_: Any) -> bool:
        tables.rows["orders", order.id] = order
        tables.publish(outbox_row["body"])
        return True

    @staticmethod
    def lock(tables: Tables, order_id: str) -> Order | None:
        found: Order | None = tables.rows.get(("orders", order_id))
        return found

    @staticmethod
    def change(tables: Tables, order: Order, final_envelope: Any = None) -> None:
        tables.rows["orders", order.id] = order
        tables.rows["envelopes", order.id] = final_envelope

    @staticmethod
    def final_envelope(tables: Tables, order_id: str) -> Any:
        return tables.rows.get(("envelopes", order_id))

    @staticmethod
    def adopt(_tables: Tables, _reading: float) -> None:
        """No-op: each order has its reading of the clock."""

    @staticmethod
    def overdue(tables: Tables, **_: Any) -> list[str]:
        return [order.id for order in tables.all("orders") if order.status in {"pending", "reserved"}]


class InventoryTables:
    """Replaces `services.inventory.models`."""

    @staticmethod
    def claim(tables: Tables, reservation: Reservation) -> dict[str, int] | None:
        if ("reservations", reservation.order_id) in tables.rows:
            return None
        tables.rows["reservations", reservation.order_id] = reservation
        return {line.sku: tables.rows["stock", line.sku].available for line in reservation.lines}

    @staticmethod
    def hold(tables: Tables, reservation: Reservation, move: stock.Move, outbox_row: Any) -> None:
        InventoryTables.settle(tables, reservation, move, outbox_row)

    @staticmethod
    def reject(tables: Tables, reservation: Reservation, outbox_row: Any) -> None:
        tables.rows["reservations", reservation.order_id] = reservation
        tables.publish(outbox_row["body"])

    @staticmethod
    def lock_reservation(tables: Tables, order_id: str) -> Reservation | None:
        found: Reservation | None = tables.rows.get(("reservations", order_id))
        return found

    @staticmethod
    def settle(tables: Tables, reservation: Reservation, move: stock.Move, outbox_row: Any) -> None:
        tables.rows["reservations", reservation.order_id] = reservation
        for line in reservation.lines:
            tables.rows["stock", line.sku] = stock.move(tables.rows["stock", line.sku], move, line.quantity)
        tables.publish(outbox_row["body"])

    @staticmethod
    def remember_cancelled(tables: Tables, order_id: str) -> bool:
        tables.rows["reservations", order_id] = Reservation(
            order_id=order_id, status=stock.Status.CANCELLED, lines=(), version=0
        )
        return True

    @staticmethod
    def ask_about_held(tables: Tables, **_: Any) -> list[Reservation]:
        held = [each for each in tables.all("reservations") if each.status is stock.Status.HELD]
        overdue = [replace(each, version=each.version + 1) for each in held]
        tables.rows |= {("reservations", each.order_id): each for each in overdue}
        return overdue


class PaymentTables:
    """Replaces `services.payments.models`. A payment has its order's id."""

    @staticmethod
    def _put(tables: Tables, payment: Payment) -> Payment:
        tables.rows["payments", payment.id] = payment
        return payment

    @staticmethod
    def attach(tables: Tables, payment: Payment, provider_id: str) -> Payment:
        now: Payment = tables.rows["payments", payment.id]
        if now.provider_id is None and now.status is Status.PENDING and not now.cancel_requested:
            return PaymentTables._put(tables, replace(now, provider_id=provider_id))
        return now

    @staticmethod
    def lock(tables: Tables, payment_id: str) -> Payment:
        found: Payment = tables.rows["payments", payment_id]
        return found

    get = of_order = lock

    @staticmethod
    def change(tables: Tables, payment: Payment) -> None:
        names = ("status", "refunded", "refunded_elsewhere", "refusal", "decline_code", "closed", "version")
        now = tables.rows["payments", payment.id]
        PaymentTables._put(tables, replace(now, **{name: getattr(payment, name) for name in names}))

    @staticmethod
    def ask_about_overdue(tables: Tables, **_: Any) -> list[Payment]:
        overdue = [each for each in tables.all("payments") if PaymentTables._is_overdue(tables, each)]
        return [PaymentTables._put(tables, replace(each, version=each.version + 1)) for each in overdue]

    @staticmethod
    def _is_overdue(tables: Tables, payment: Payment) -> bool:
        if payment.cancel_requested:
            return False
        if payment.status is Status.PENDING:
            return payment.terms is not None and not payment.stock_reserved
        return payment.remaining > 0 and ("confirmed", payment.order_id) not in tables.rows


def record_facts(tables: Tables, facts: Sequence[Fact]) -> dict[str, Payment]:
    """Replaces `services.payments.facts.record`."""
    payments = {}
    for fact in facts:
        key = ("payments", fact.order_id)
        known = tables.rows.get(key) or Payment(id=fact.order_id, order_id=fact.order_id, created_at=NOW)
        tables.rows[key] = payments[fact.order_id] = replace(
            known,
            terms=known.terms or fact.terms,
            stock_reserved=known.stock_reserved or fact.stock_reserved,
            cancel_requested=known.cancel_requested or fact.cancel_requested,
        )
        if fact.order_confirmed:
            tables.rows["confirmed", fact.order_id] = True
    return payments


class RefundTables:
    """Replaces `services.payments.ledger`."""

    @staticmethod
    def insert(tables: Tables, refund: Refund) -> None:
        tables.rows["refunds", refund.id] = refund

    @staticmethod
    def get(tables: Tables, refund_id: str) -> Refund | None:
        found: Refund | None = tables.rows.get(("refunds", refund_id))
        return found

    @staticmethod
    def pending(tables: Tables, payment_id: str) -> list[Refund]:
        return [
            each
            for each in tables.all("refunds")
            if each.payment_id == payment_id and each.status is RefundStatus.PENDING
        ]

    @staticmethod
    def with_refund_pending(tables: Tables, payments: Sequence[Payment]) -> list[Payment]:
        sums = [sum(refund.amount for refund in RefundTables.pending(tables, each.id)) for each in payments]
        return [replace(each, refund_pending=amount) for each, amount in zip(payments, sums, strict=True)]

    @staticmethod
    def conclude(tables: Tables, refund: Refund) -> bool:
        if tables.rows["refunds", refund.id].status is not RefundStatus.PENDING:
            return False
        tables.rows["refunds", refund.id] = refund
        return True

    @staticmethod
    def unsettled(tables: Tables, **_: Any) -> list[str]:
        return [
            each.order_id
            for each in tables.all("payments")
            if RefundTables.pending(tables, each.id) or RefundTables._is_unsettled(each)
        ]

    @staticmethod
    def _is_unsettled(payment: Payment) -> bool:
        if payment.status is Status.PENDING:
            return payment.cancel_requested or (payment.terms is not None and payment.stock_reserved)
        if payment.status is Status.DECLINED:
            return payment.provider_id is not None and not payment.closed
        return payment.is_owed and not payment.refund_waits

    @staticmethod
    def refuse(tables: Tables, payment: Payment, pause_seconds: float | None) -> Payment:
        """Time is not simulated: a pause ends at once."""
        assert payment.refusal is not None
        refusal = replace(payment.refusal, waits=pause_seconds is None)
        now = replace(tables.rows["payments", payment.id], refusal=refusal, version=payment.version)
        return PaymentTables._put(tables, now)

    @staticmethod
    def insert_external(tables: Tables, refund: ExternalRefund) -> bool:
        tables.rows["external_refunds", refund.id] = refund
        return True

    @staticmethod
    def undecided(_tables: Tables, _order_id: str, **_: Any) -> Payment | None:
        return None

    @staticmethod
    def back_off(_tables: Tables, _order_id: str) -> None:
        """Time is not simulated."""

    @staticmethod
    def postpone(_tables: Tables, _order_id: str) -> None:
        """No-op: the simulation has no queue order."""
