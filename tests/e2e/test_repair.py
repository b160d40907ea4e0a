"""`holdfast audit --repair` on manual damage: the owners repair what they can, and the rest is reported."""

import json
from typing import Any

import pika
import pytest
from click.testing import CliRunner

from holdfast.cli import main
from infrastructure.local.stack import Stack
from tests.e2e.auditing import assert_kept
from tests.e2e.breaking import Saboteur
from tests.e2e.shop import CONFIRMED, Customer, Shop, place
from tests.e2e.test_kills import answers
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def repair(stack: Stack, *, settle_seconds: int = 15) -> tuple[int, dict[str, Any]]:
    """Repair; the repair must show within `settle_seconds`."""
    words = ["audit", "--home", str(stack.home.path), "--settle", str(settle_seconds), "--repair", "--json"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    document: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, document


def lose(stack: Stack, queue: str, event_type: str, order_id: str) -> None:
    """Delete the waiting messages of the queue up to this event of the order, which may not have arrived yet."""
    with pika.BlockingConnection(pika.URLParameters(stack.urls.rabbitmq)) as connection:
        channel = connection.channel()

        def is_lost() -> bool:
            body = channel.basic_get(queue, auto_ack=True)[2]
            event = json.loads(body) if body else {}
            return (event.get("type"), event.get("orderid")) == (event_type, order_id)

        eventually(is_lost)


def test_a_context_that_lost_a_final_event_receives_it_again(stack: Stack, shop: Shop, customer: Customer) -> None:
    sku = shop.product(on_hand=5)
    stack.stop("worker-payments")
    placed = place(customer, {sku: 2})
    eventually(lambda: shop.order(placed["id"])["status"], lambda status: status == "reserved")
    stack.stop("worker-inventory")
    stack.start("worker-payments")
    shop.ended(placed["id"], "confirmed")
    lose(stack, "inventory.events", "order.confirmed.v1", placed["id"])
    stack.start("worker-inventory")
    eventually(lambda: answers(stack, "worker-inventory"))

    code, document = repair(stack)
    assert code == 0, document["findings"]
    assert {"P1", "P3"} >= {finding["promise"] for finding in document["repair"]["mended"]} >= {"P1"}
    assert document["repair"]["not_mended"] == []
    assert shop.stock(sku)["sold"] == 2
    assert "repair" not in repair(stack)[1]  # no request is left
    assert_kept(stack)


def test_only_final_events_lost_by_the_archive_are_restored(stack: Stack, shop: Shop, customer: Customer) -> None:
    saboteur = Saboteur(stack)
    placed = place(customer, {shop.product(): 1})
    shop.ended(placed["id"], "confirmed")
    whole = shop.await_events(placed["id"], *CONFIRMED)
    with saboteur.event_deleted(placed["id"], "order.placed.v1"):
        code, document = repair(stack, settle_seconds=3)
        assert code == 1
        (left,) = document["repair"]["not_mended"]
        assert (left["promise"], left["subject"]) == ("P5", placed["id"])
        assert "nothing to repair" in left["why"]
    saboteur.event_lost(placed["id"], "order.confirmed.v1")
    code, document = repair(stack)
    assert code == 0, document["findings"]
    assert [finding["promise"] for finding in document["repair"]["mended"]] == ["P5"]
    assert shop.timeline(placed["id"]) == whole
