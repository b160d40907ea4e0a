"""An outage is not an error: accepted orders wait for the dependency, and continue when it is back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.api import answer, problem
from tests.e2e.auditing import assert_kept
from tests.e2e.buyers import all_settled, buying
from tests.e2e.shop import CONFIRMED, ORDERS, Customer, Shop, order_of, place
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
Away = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def away(stack: Stack) -> Away:
    """A context manager that stops the named process during its block."""

    @contextmanager
    def without(name: str) -> Iterator[None]:
        stack.stop(name)
        try:
            yield
        finally:
            stack.start(name)

    return without


def test_orders_are_accepted_while_the_broker_is_down(stack: Stack, shop: Shop, away: Away) -> None:
    skus = [shop.product(on_hand=1000) for _ in range(2)]
    with buying(shop, skus, ahead=1000, pause_seconds=0.5) as buyers:
        buyers.wait_for_more(3)
        with away("rabbitmq"):
            buyers.wait_for_more(20)
    all_settled(shop)
    buyers.assert_each_ordered_once()
    assert_kept(stack)


def test_an_outage_of_postgresql_returns_503_and_loses_no_order(
    stack: Stack, shop: Shop, customer: Customer, away: Away
) -> None:
    skus = [shop.product(on_hand=1000) for _ in range(2)]
    with buying(shop, skus) as buyers:
        buyers.wait_for_more(5)
        with away("postgres"):
            reply = customer.api.impatient().post(ORDERS, order_of({skus[0]: 1}), key="during the outage")
            assert problem(reply)[0] == 503
            assert int(reply.headers["Retry-After"]) >= 1
            anyone = shop.anyone.impatient()
            eventually(lambda: problem(anyone.get("/readyz")) == (503, "not_ready"))
            assert answer(shop.anyone.get("/livez"))
        buyers.wait_for_more(5)
    assert buyers.repeated > 0
    all_settled(shop)
    buyers.assert_each_ordered_once()
    assert customer.api.all(ORDERS) == []
    assert_kept(stack)


def test_orders_are_confirmed_without_the_archive(stack: Stack, shop: Shop, customer: Customer, away: Away) -> None:
    sku = shop.product()
    with away("mongodb"):
        placed = place(customer, {sku: 1})
        shop.ended(placed["id"], "confirmed")
        reply = customer.api.impatient().get(f"{ORDERS}/{placed['id']}/timeline")
        assert problem(reply)[0] == 503
        assert int(reply.headers["Retry-After"]) >= 1
    eventually(lambda: customer.api.get(f"{ORDERS}/{placed['id']}/timeline").status_code, lambda status: status == 200)
    assert [entry["type"] for entry in shop.await_events(placed["id"], *CONFIRMED)] == list(CONFIRMED)
    assert_kept(stack)


def test_orders_wait_for_the_payment_provider(stack: Stack, shop: Shop, customer: Customer, away: Away) -> None:
    sku = shop.product(on_hand=10)
    with away("sandbox"):
        placed = [place(customer, {sku: 1}) for _ in range(3)]
        eventually(lambda: {shop.order(order["id"])["status"] for order in placed} == {"reserved"})
    for order in placed:
        shop.ended(order["id"], "confirmed")
    assert_kept(stack)
