"""Each promise is broken manually: the audit reports it, and passes again after the repair."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.auditing import assert_kept, audit
from tests.e2e.breaking import Saboteur
from tests.e2e.shop import CONFIRMED, DECLINED, VISA, Customer, Json, Shop, place
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SETTLE_SECONDS = 1.0
CANCELLED = ("order.placed.v1", "stock.reserved.v1", "payment.declined.v1", "order.cancelled.v1", "stock.released.v1")
REFUSED = ("order.placed.v1", "stock.rejected.v1", "order.cancelled.v1")


@dataclass(frozen=True)
class Scene:
    """An idle system with a product of which one piece was sold, and orders with each outcome."""

    stack: Stack
    saboteur: Saboteur
    sku: str
    order: Json
    payment: Json
    declined: Json
    refused: Json

    def assert_found(self, broken: AbstractContextManager[None], promises: set[str], subject: str) -> None:
        """Check that the audit finds exactly these promises broken for this subject, and none after the repair."""
        with broken:
            done = audit(self.stack, settle_seconds=SETTLE_SECONDS)
            assert done.exit_code == 1
            assert done.found == {(promise, subject) for promise in promises}
            found = {entry["promise"] for entry in done.document["promises"] if entry["broken"]}
            assert found == promises
        assert_kept(self.stack)


@pytest.fixture(scope="module")
def scene(stack: Stack, opened: Shop) -> Scene:
    customer: Customer = opened.customer()
    sku = opened.product(on_hand=10)
    orders = [place(customer, {sku: quantity}, method) for quantity, method in ((1, VISA), (1, DECLINED), (11, VISA))]
    for order, way in zip(orders, (CONFIRMED, CANCELLED, REFUSED), strict=True):
        opened.settled(order["id"])
        opened.await_events(order["id"], *way)
    payment = opened.payment(orders[0]["id"], "captured")
    eventually(lambda: opened.stock(sku)["sold"] == 1)
    order, declined, refused = (opened.order(order["id"]) for order in orders)
    return Scene(stack, Saboteur(stack), sku, order, payment, declined, refused)


@pytest.fixture(autouse=True)
def whole(shop: Shop) -> None:
    """Check that no process is stopped by another test."""


def test_an_idle_system_keeps_its_promises(scene: Scene) -> None:
    assert_kept(scene.stack)


def test_p1_a_missing_order_is_found(scene: Scene) -> None:
    order_id = scene.order["id"]
    deleted = scene.saboteur.row_deleted("orders", "orders", "id", order_id)
    # Without the order, its charge has no total and its events have no version to compare with.
    done = {"P1", "P4", "P5"}
    scene.assert_found(deleted, done, order_id)


@pytest.mark.parametrize("status", ["pending", "reserved"])
def test_p1_an_order_that_remains_open_is_found(scene: Scene, status: str) -> None:
    changed = scene.saboteur.row_changed("orders", "orders", ("id", scene.order["id"]), status=status)
    scene.assert_found(changed, {"P1"}, scene.order["id"])


def test_p2_a_double_charge_is_found(scene: Scene) -> None:
    scene.assert_found(scene.saboteur.charged(scene.order), {"P2", "P4"}, scene.order["id"])


def test_p2_a_duplicate_event_is_found(scene: Scene) -> None:
    doubled = scene.saboteur.event_doubled(scene.order["id"], "stock.sold.v1")
    scene.assert_found(doubled, {"P2", "P5"}, scene.order["id"])


@pytest.mark.parametrize("change", [{"sold": 2}, {"reserved": 1}, {"on_hand": 8}, {"on_hand": 8, "sold": 2}], ids=str)
def test_p3_changed_stock_is_found(scene: Scene, change: dict[str, int]) -> None:
    changed = scene.saboteur.row_changed("inventory", "products", ("sku", scene.sku), **change)
    scene.assert_found(changed, {"P3"}, scene.sku)


def test_p3_a_missing_product_is_found(scene: Scene) -> None:
    deleted = scene.saboteur.row_deleted("inventory", "products", "sku", scene.sku)
    scene.assert_found(deleted, {"P3"}, scene.sku)


def test_p4_an_unrecorded_refund_is_found(scene: Scene) -> None:
    refunded = scene.saboteur.refunded(scene.order, scene.payment["provider_id"])
    scene.assert_found(refunded, {"P4"}, scene.order["id"])


def test_p4_a_charge_of_a_cancelled_order_is_found(scene: Scene) -> None:
    scene.assert_found(scene.saboteur.charged(scene.declined), {"P4"}, scene.declined["id"])


def test_p4_a_recorded_refund_that_was_never_made_is_found(scene: Scene) -> None:
    half = {"refunded": scene.order["total"]["amount"] // 2, "status": "partially_refunded"}
    changed = scene.saboteur.row_changed("payments", "payments", ("order_id", scene.order["id"]), **half)
    scene.assert_found(changed, {"P4"}, scene.order["id"])


@pytest.mark.parametrize("event_type", ["order.placed.v1", "payment.captured.v1", "order.confirmed.v1"])
def test_p5_a_missing_event_is_found(scene: Scene, event_type: str) -> None:
    scene.assert_found(scene.saboteur.event_deleted(scene.order["id"], event_type), {"P5"}, scene.order["id"])


def test_p5_a_missing_only_event_of_a_source_is_found(scene: Scene) -> None:
    deleted = scene.saboteur.event_deleted(scene.refused["id"], "stock.rejected.v1")
    scene.assert_found(deleted, {"P5"}, scene.refused["id"])


def test_p5_a_missing_sale_event_is_found(scene: Scene) -> None:
    # From outside, the stock of a confirmed order seems unsold.
    deleted = scene.saboteur.event_deleted(scene.order["id"], "stock.sold.v1")
    scene.assert_found(deleted, {"P1"}, scene.order["id"])


def test_p5_a_missing_event_of_a_product_is_found(scene: Scene) -> None:
    deleted = scene.saboteur.event_deleted(scene.sku, "product.listed.v1")
    scene.assert_found(deleted, {"P5"}, scene.sku)
