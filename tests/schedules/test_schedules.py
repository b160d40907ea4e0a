"""Every promise holds in thousands of schedules of broker, crashes and people, with real use cases and handlers.

Conversely, with one guarantee removed, a schedule that breaks a promise is found.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations_with_replacement

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from services.inventory import domain as stock
from services.orders import domain as order
from services.payments import domain as payment
from services.payments import settlement
from services.payments.domain import Intent, IntentState
from tests.schedules.choices import Choices, smallest
from tests.schedules.exploring import LENGTH, Explorer, explorer
from tests.schedules.promises import broken
from tests.schedules.provider import SimulatedProvider
from tests.schedules.shop import _ACTIONS, Shop
from tests.schedules.simulation import HANDLERS, Message
from tests.schedules.tables import NOW, InventoryTables, PaymentTables, Tables

Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def explores() -> Iterator[Explorer]:
    with explorer() as made:
        yield made


@pytest.mark.slow
def test_all_promises_hold_in_every_schedule(explores: Explorer) -> None:
    finding = explores.explore(seed=20, schedules=100, seconds=240)  # at least, on a busy machine
    finding = finding or explores.explore(seed=20, schedules=3_000, seconds=5)
    assert finding is None, str(finding)
    assert explores.schedules > 100


def test_schedules_reach_every_kind_of_event(explores: Explorer) -> None:
    """Crashes, duplicates, dead letters, and every outcome of an order and of a payment occur."""
    chance, output, statuses = random.Random(7), "", set()
    for _ in range(400):
        explores.run(chance.randbytes(LENGTH))
        output += "\n".join(explores.shop.story)
        statuses |= {each.status for each in explores.shop.payments.all("payments")}
        statuses |= {each.cancel_reason for each in explores.shop.orders.all("orders") if each.cancel_reason}
    assert statuses >= set(payment.Status) - {payment.Status.PENDING} | set(order.CancelReason)
    for place in ("inbox.committing", "payments.created", "payments.confirmed", "payments.refunded", "provider.asked"):
        assert f"crash at {place}" in output
        assert place.startswith("inbox") or f"concurrently, at {place}" in output
    for word in ("put aside", "inboxes pruned", "stock.rejected.v1", "payment.overdue.v1", "reservation.overdue.v1"):
        assert word in output
    assert "refund_refused.v1" in output
    assert "an operator decides" in output


ABOUT_ORDERS = [
    (consumer, event_type)
    for consumer, handlers in HANDLERS.items()
    for event_type in handlers
    if not event_type.startswith("product.")
]


def _broken_without(explores: Explorer, size: int) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """The violations, by the set of first deliveries that are lost permanently."""
    found = {}
    for lost in combinations_with_replacement(ABOUT_ORDERS, size):
        shop = explores.shop = Shop(Choices(b""))
        shop.lost.update(lost)
        shop.do(Shop.place)
        settled = shop.drain()
        _add_blank_rows(shop)
        if problems := broken(shop, settled=settled):
            found[lost] = problems
    return found


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_order_ends_with_any_unreplayed_dead_letters(explores: Explorer, size: int) -> None:
    assert _broken_without(explores, size) == {}


def test_two_dead_letters_keep_the_money_if_captured_payments_are_not_asked_about(
    explores: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_overdue = PaymentTables._is_overdue
    monkeypatch.setattr(
        PaymentTables,
        "_is_overdue",
        lambda tables, each: each.status is payment.Status.PENDING and is_overdue(tables, each),
    )
    assert _broken_without(explores, 1) == {}
    letters = (("orders", "payment.captured.v1"), ("payments", "order.cancelled.v1"))
    found = _broken_without(explores, 2)
    assert found == {letters: ["order 0: P4: is cancelled, and its money not returned"]}


def _add_blank_rows(shop: Shop) -> None:
    """A context that received no event of an order has no state of it."""
    for order_id in shop.placed:
        unheard = stock.Reservation(order_id=order_id, status=stock.Status.CANCELLED, lines=(), version=0)
        shop.inventory.rows.setdefault(("reservations", order_id), unheard)
        shop.payments.rows.setdefault(
            ("payments", order_id), payment.Payment(id=order_id, order_id=order_id, created_at=NOW)
        )


class _Machine(RuleBasedStateMachine):
    """Each step and its outcome chosen by Hypothesis, which shrinks a failure automatically."""

    explores: Explorer

    def __init__(self) -> None:
        super().__init__()
        self.choices = Choices(b"")
        self.shop = self.explores.shop = Shop(self.choices)

    @rule(action=st.sampled_from(_ACTIONS), fate=st.binary(max_size=8))
    def act(self, action: Callable[[Shop], None], fate: bytes) -> None:
        self.choices.add(fate)
        self.shop.do(action)

    def teardown(self) -> None:
        assert broken(self.shop, settled=self.shop.drain()) == []


def test_all_promises_hold_in_the_state_machine(explores: Explorer) -> None:
    _Machine.explores = explores
    run_state_machine_as_test(
        _Machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# ---- one guarantee removed ---------------------------------------------------------------------------------------


def _no_state_guard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(order, "when_payment_is_captured", lambda _status: order.Status.CONFIRMED)


def _cancels_the_confirmed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        order, "when_customer_cancels", lambda status: None if status == "cancelled" else order.Status.CANCELLED
    )


def _releases_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        stock,
        "when_order_is_cancelled",
        lambda status: stock.Status.CANCELLED if status is None else stock.Status.RELEASED,
    )


def _reserves_what_is_not_there(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stock, "refuse", lambda _lines, _available: None)


def _keeps_the_money(patch: pytest.MonkeyPatch) -> None:
    step = payment.next_step
    patch.setattr(
        payment,
        "next_step",
        lambda each: payment.Step.NOTHING if step(each) is payment.Step.REFUND else step(each),
    )


def _takes_any_cancellation_for_granted(patch: pytest.MonkeyPatch) -> None:
    def cancel(self: SimulatedProvider, provider_id: str) -> Intent:
        return Intent(provider_id, IntentState.CANCELED)

    patch.setattr(SimulatedProvider, "cancel", cancel)


def _charges_again_without_a_look(patch: pytest.MonkeyPatch) -> None:
    charge = settlement._STEPS[payment.Step.CHARGE]

    def again(provider: SimulatedProvider, record: settlement.Record, each: payment.Payment) -> payment.Payment:
        provider.keys.clear()
        return charge(provider, record, replace(each, provider_id=None))  # type: ignore[arg-type]  # a simulated provider

    patch.setitem(settlement._STEPS, payment.Step.CHARGE, again)
    patch.setattr(
        "tests.schedules.tables.PaymentTables.attach",
        _attach,
    )


def _attach(tables: Tables, each: payment.Payment, provider_id: str) -> payment.Payment:
    attached: payment.Payment = replace(tables.rows["payments", each.id], provider_id=provider_id)
    tables.rows["payments", each.id] = attached
    return attached


def _outbox_in_a_second_transaction(patch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def transaction(self: Tables) -> Iterator[Tables]:
        before = dict(self.outbox)
        try:
            yield self
        except BaseException:
            self.outbox = before  # the state is unchanged
            raise

    patch.setattr(Tables, "transaction", transaction)
    for module in ("services.orders.usecases", "services.inventory.usecases", "common.messaging.inbox"):
        patch.setattr(f"{module}.transaction", transaction)


def _acknowledges_before_the_effect(patch: pytest.MonkeyPatch) -> None:
    handle = Shop._handle

    def always(self: Shop, message: Message) -> bool:
        handle(self, message)
        return True

    patch.setattr(Shop, "_handle", always)


def _forgets_reservations(patch: pytest.MonkeyPatch) -> None:
    def claim(tables: Tables, reservation: stock.Reservation) -> dict[str, int]:
        tables.rows["reservations", reservation.order_id] = reservation
        return {line.sku: tables.rows["stock", line.sku].available for line in reservation.lines}

    patch.setattr(InventoryTables, "claim", claim)


MUTANTS: tuple[tuple[Patch, str], ...] = (
    (_no_state_guard, "but its"),
    (_cancels_the_confirmed, "but its"),
    (_releases_twice, "P3"),
    (_reserves_what_is_not_there, "P3"),
    (_keeps_the_money, "P4"),
    (_takes_any_cancellation_for_granted, "P4"),
    (_charges_again_without_a_look, "P2"),
    (_outbox_in_a_second_transaction, "P"),
    (_acknowledges_before_the_effect, "P"),
    (_forgets_reservations, "P"),
)


@pytest.mark.parametrize(("without", "promise"), MUTANTS, ids=[mutant.__name__[1:] for mutant, _ in MUTANTS])
def test_every_removed_guarantee_is_detected(
    explores: Explorer, monkeypatch: pytest.MonkeyPatch, without: Patch, promise: str
) -> None:
    without(monkeypatch)
    chance = random.Random(3)
    findings = (explores.run(chance.randbytes(LENGTH)) for _ in range(1_000))
    assert any(promise in line for finding in findings if finding for line in finding.broken)


def test_a_failing_schedule_is_shrunk(explores: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    _keeps_the_money(monkeypatch)
    chance = random.Random(3)
    first = next(finding for _ in range(1_000) if (finding := explores.run(chance.randbytes(LENGTH))))
    small = smallest(first.schedule, lambda each: explores.run(each) is not None, tries=400)
    assert len(small) < LENGTH / 2
    finding = explores.run(small)
    assert finding is not None
    assert finding.broken == explores.run(small).broken  # type: ignore[union-attr]  # the same each time
