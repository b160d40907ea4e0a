"""Each kind of broken promise, on views made by hand; and what looks odd and is not broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from holdfast.audit.promises import check_order, check_product
from holdfast.audit.views import INVENTORY, ORDERS, PAYMENTS, ArchivedEvent, Charge, OrderView, ProductView

ID, SKU = "01a2039b-b6ce-7471-93d9-eda743a76a46", "TEA-1"
USD = "usd"
CONFIRMED = [
    (ORDERS, "order.placed.v1", 1),
    (INVENTORY, "stock.reserved.v1", 1),
    (PAYMENTS, "payment.captured.v1", 1),
    (ORDERS, "order.confirmed.v1", 2),
    (INVENTORY, "stock.sold.v1", 2),
]
DECLINED = [
    (ORDERS, "order.placed.v1", 1),
    (INVENTORY, "stock.reserved.v1", 1),
    (PAYMENTS, "payment.declined.v1", 1),
    (ORDERS, "order.cancelled.v1", 2),
    (INVENTORY, "stock.released.v1", 2),
]
REFUSED = [(ORDERS, "order.placed.v1", 1), (INVENTORY, "stock.rejected.v1", 1), (ORDERS, "order.cancelled.v1", 2)]


def events(*history: tuple[str, str, int], subject: str = ID, **data: Any) -> tuple[ArchivedEvent, ...]:
    return tuple(
        ArchivedEvent(f"{number}", kind, source, subject, sequence, f"2026-11-22T14:00:0{number}.000000Z", data)
        for number, (source, kind, sequence) in enumerate(history)
    )


def order(status: str, reason: str | None = None, version: int = 2) -> dict[str, Any]:
    total = {"amount": 2500, "currency": USD}
    items = [{"sku": SKU, "quantity": 2}]
    created_at = "2026-11-22T14:00:00.000000Z"
    return {
        "id": ID, "status": status, "cancel_reason": reason, "total": total, "items": items, "version": version,
        "created_at": created_at,
    }  # fmt: skip


def payment(status: str, refunded: int = 0, version: int = 1) -> dict[str, Any]:
    return {"status": status, "refunded": {"amount": refunded, "currency": USD}, "version": version}


def charge(captured: int, refunded: int = 0, currency: str = USD, name: str = "pi_1") -> Charge:
    return Charge(name, ID, captured, refunded, currency)


GOOD = OrderView(ID, order("confirmed"), (payment("captured"),), (charge(2500),), events(*CONFIRMED))
CANCELLED = OrderView(
    ID, order("cancelled", "payment_declined"), (payment("declined"),), (charge(0),), events(*DECLINED)
)
REJECTED = OrderView(ID, order("cancelled", "out_of_stock"), (payment("cancelled", version=0),), (), events(*REFUSED))


def broken(view: OrderView) -> list[str]:
    found = check_order(view)
    assert all(finding.subject == ID and finding.text for finding in found)
    return [finding.promise for finding in found]


@pytest.mark.parametrize("view", [GOOD, CANCELLED, REJECTED])
def test_a_kept_promise(view: OrderView) -> None:
    assert broken(view) == []


def test_cancelled_before_any_other_context_received_it() -> None:
    history = events((ORDERS, "order.placed.v1", 1), (ORDERS, "order.cancelled.v1", 2))
    assert broken(OrderView(ID, order("cancelled", "customer_request"), (), (), history)) == []


def test_refunded_by_an_operator_in_two_parts() -> None:
    history = events(*CONFIRMED, (PAYMENTS, "payment.refunded.v1", 2), (PAYMENTS, "payment.refunded.v1", 3))
    paid = (payment("partially_refunded", refunded=1500, version=3),)
    assert broken(replace(GOOD, payments=paid, charges=(charge(2500, 1500),), events=history)) == []


def test_refunded_because_it_was_cancelled_too_late() -> None:
    history = events(
        (ORDERS, "order.placed.v1", 1), (INVENTORY, "stock.reserved.v1", 1), (ORDERS, "order.cancelled.v1", 2),
        (INVENTORY, "stock.released.v1", 2), (PAYMENTS, "payment.captured.v1", 1), (PAYMENTS, "payment.refunded.v1", 2),
    )  # fmt: skip
    paid = (payment("refunded", refunded=2500, version=2),)
    view = OrderView(ID, order("cancelled", "customer_request"), paid, (charge(2500, 2500),), history)
    assert broken(view) == []


def test_an_intent_that_never_succeeded_beside_the_one_that_did() -> None:
    assert broken(replace(GOOD, charges=(charge(2500), charge(0, name="pi_2")))) == []


@pytest.mark.parametrize("status", ["pending", "reserved"])
def test_p1_still_open(status: str) -> None:
    view = OrderView(ID, order(status, version=1), (), (), events((ORDERS, "order.placed.v1", 1)))
    assert broken(view) == ["P1"]


def test_p1_gone() -> None:
    assert "P1" in broken(replace(GOOD, order=None))
    assert "P1" in broken(OrderView(ID, None, (), (charge(2500),), ()))


def test_p1_confirmed_without_a_sale() -> None:
    assert broken(replace(GOOD, events=events(*CONFIRMED[:-1]))) == ["P1"]


def test_p1_confirmed_without_a_payment() -> None:
    assert "P1" in broken(replace(GOOD, payments=(payment("pending", version=1),)))
    assert "P1" in broken(replace(GOOD, payments=()))


def test_p1_cancelled_with_its_stock_held() -> None:
    assert broken(replace(CANCELLED, events=events(*DECLINED[:-1]))) == ["P1"]


def test_p2_charged_twice() -> None:
    assert "P2" in broken(replace(GOOD, charges=(charge(2500), charge(2500, name="pi_2"))))


def test_p2_two_payments() -> None:
    assert broken(replace(GOOD, payments=(payment("captured"), payment("captured")))) == ["P2"]


@pytest.mark.parametrize("number", range(len(CONFIRMED)))
def test_p2_an_event_twice(number: int) -> None:
    again = (*CONFIRMED, (CONFIRMED[number][0], CONFIRMED[number][1], 3))
    assert "P2" in broken(replace(GOOD, events=events(*again)))


def test_p2_both_ends() -> None:
    history = (*CONFIRMED, (INVENTORY, "stock.released.v1", 3))
    assert "P2" in broken(replace(GOOD, events=events(*history)))
    history = (*CONFIRMED, (ORDERS, "order.cancelled.v1", 3))
    assert "P2" in broken(replace(GOOD, order=order("confirmed", version=3), events=events(*history)))


@pytest.mark.parametrize("charges", [(), (charge(0),), (charge(2499),), (charge(2500, 1),), (charge(5000, 1),)])
def test_p4_confirmed_and_not_all_of_it_paid(charges: tuple[Charge, ...]) -> None:
    assert broken(replace(GOOD, charges=charges)) == ["P4"]


def test_p4_a_refund_on_record_that_never_was() -> None:
    assert broken(replace(GOOD, payments=(payment("partially_refunded", refunded=100),))) == ["P4"]


def test_p4_more_refunded_than_it_cost() -> None:
    paid = (payment("refunded", refunded=2600),)
    assert broken(replace(GOOD, payments=paid, charges=(charge(2500, 2600),))) == ["P4"]


def test_p4_another_currency() -> None:
    assert broken(replace(GOOD, charges=(charge(2500, currency="eur"),))) == ["P4"]


def test_p4_cancelled_and_charged() -> None:
    assert broken(replace(CANCELLED, charges=(charge(2500),))) == ["P4"]
    assert broken(replace(CANCELLED, charges=(charge(2500, 2499),))) == ["P4"]


@pytest.mark.parametrize("source", [ORDERS, PAYMENTS, INVENTORY])
def test_p5_a_gap(source: str) -> None:
    first = next(number for number, history in enumerate(CONFIRMED) if history[0] == source)
    left = [history for number, history in enumerate(CONFIRMED) if number != first]
    assert "P5" in broken(replace(GOOD, events=events(*left)))


def test_p5_the_last_events_are_missing() -> None:
    assert broken(replace(GOOD, order=order("confirmed", version=3))) == ["P5"]
    assert broken(replace(GOOD, payments=(payment("captured", version=2),))) == ["P5"]
    assert broken(replace(REJECTED, events=events(REFUSED[0], REFUSED[2]))) == ["P5"]


def test_p5_more_events_than_the_resource_knows() -> None:
    assert broken(replace(GOOD, order=order("confirmed", version=1))) == ["P5"]


LISTED = events((INVENTORY, "product.listed.v1", 1), subject=SKU) + tuple(
    replace(event, sequence=2) for event in events((INVENTORY, "stock.adjusted.v1", 2), subject=SKU, delta=10)
)


def shelf(sold_by_orders: int = 2, moving: int = 0, **changes: Any) -> ProductView:
    """Ten received, two sold, unless changed."""
    product = {"on_hand": 8, "reserved": 0, "available": 8, "sold": 2, "version": 2} | changes
    return ProductView(SKU, product, LISTED, sold_by_orders, moving)


@pytest.mark.parametrize(
    "view",
    [
        shelf(),
        shelf(on_hand=10, available=10, sold=0, sold_by_orders=0),
        shelf(reserved=3, available=5, moving=3),
        shelf(reserved=0, moving=3),
        shelf(on_hand=7, available=7, sold=3, moving=1),
        shelf(on_hand=0, available=0, sold=10, sold_by_orders=10),
    ],
)
def test_stock_that_is_conserved(view: ProductView) -> None:
    assert check_product(view) == []


@pytest.mark.parametrize(
    "view",
    [
        shelf(reserved=9, available=-1, moving=9),
        shelf(available=7),
        shelf(on_hand=7, available=7),
        shelf(sold=3),
        shelf(on_hand=7, available=7, sold=3),
        shelf(sold_by_orders=3),
        shelf(sold_by_orders=0, moving=1),
        shelf(reserved=1, available=7),
        shelf(reserved=3, available=5, moving=2),
        shelf(reserved=-1, available=9),
        replace(shelf(), product=None),
    ],
)
def test_p3_stock_that_is_not(view: ProductView) -> None:
    found = check_product(view)
    assert {(finding.promise, finding.subject) for finding in found} == {("P3", SKU)}


def test_p5_a_products_events() -> None:
    assert [finding.promise for finding in check_product(shelf(version=3))] == ["P5"]
    without = replace(shelf(), events=LISTED[1:])
    assert [finding.promise for finding in check_product(without)] == ["P5"]


def test_what_is_still_moving() -> None:
    recent, later = "2026-11-22T14:00:03.000000Z", "2026-11-22T14:00:04.000000Z"
    assert GOOD.is_moving(recent)  # its sale was published after that
    assert not GOOD.is_moving(later)
    assert CANCELLED.is_moving(recent)
    assert not CANCELLED.is_moving(later)
    assert not REJECTED.is_moving(recent)  # it never held anything
    assert OrderView(ID, order("reserved", version=1), (), (), ()).is_moving(later)
    assert replace(GOOD, order=None).is_moving(later)


def owed(standing_since: str | None) -> dict[str, Any]:
    refusal = {
        "code": "charge_disputed",
        "tries": 5,
        "retry_at": "2026-11-22T14:05:00Z",
        "standing_since": standing_since,
    }
    return payment("captured") | {"id": "payment-1", "refund_refusal": refusal}


def recorded(amount: int, elsewhere: int) -> dict[str, Any]:
    """A payment of which `amount` came back, `elsewhere` of it past the provider."""
    known = payment("refunded", refunded=amount, version=2)
    return known | {"refunded_elsewhere": {"amount": elsewhere, "currency": USD}}


CHARGED_LATE = [
    (ORDERS, "order.placed.v1", 1),
    (INVENTORY, "stock.reserved.v1", 1),
    (ORDERS, "order.cancelled.v1", 2),
    (INVENTORY, "stock.released.v1", 2),
    (PAYMENTS, "payment.captured.v1", 1),
]


def with_record(
    history: list[tuple[str, str, int]], amount: int, provider_refund_id: str = ""
) -> tuple[ArchivedEvent, ...]:
    data: dict[str, Any] = {"amount": {"amount": amount, "currency": USD}, "provider_refund_id": provider_refund_id}
    (record,) = events((PAYMENTS, "payment.refund_recorded.v1", 2), **data)
    return (*events(*history), record)


@pytest.mark.parametrize(
    ("standing_since", "text"),
    [
        ("2026-11-22T14:00:00Z", "holdfast payments retry-refund payment-1"),
        (None, "retried at 2026-11-22T14:05:00Z"),
    ],
)
def test_p4_a_refused_refund_is_broken_and_says_why(standing_since: str | None, text: str) -> None:
    view = replace(CANCELLED, payments=(owed(standing_since),), charges=(charge(2500),), events=events(*CHARGED_LATE))
    (finding,) = check_order(view)
    assert finding.promise == "P4"
    assert "charge_disputed, 5 tries" in finding.text
    assert text in finding.text


def test_money_that_came_back_another_way_counts_as_far_as_it_is_on_record() -> None:
    cancelled = replace(CANCELLED, charges=(charge(2500),), events=with_record(CHARGED_LATE, 2500))
    assert broken(replace(cancelled, payments=(recorded(2500, 2500),))) == []
    assert broken(replace(cancelled, payments=(recorded(2500, 2500),), charges=(charge(2500, 2500),))) == ["P4"]
    at_provider = replace(cancelled, events=with_record(CHARGED_LATE, 2500, "re_1"), charges=(charge(2500, 2500),))
    assert broken(replace(at_provider, payments=(recorded(2500, 0),))) == []
    confirmed = replace(GOOD, payments=(recorded(1000, 1000),), events=with_record(CONFIRMED, 1000))
    assert broken(confirmed) == []
    assert broken(replace(confirmed, charges=(charge(2500, 1000),))) == ["P4"]


def test_p4_a_record_that_the_archive_does_not_hold() -> None:
    view = replace(CANCELLED, payments=(recorded(2500, 2500),), charges=(charge(2500),))
    assert broken(replace(view, events=with_record(CHARGED_LATE, 500))) == ["P4"]
