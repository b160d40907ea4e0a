"""The scenarios that reveal a missing guarantee. None of them may fail on an unchanged system.

A scenario returns the violations that its own clients observed; the audit finds the others afterwards.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pika
import requests

from chaos_tests.matrix.run import BODY, Shopper
from chaos_tests.matrix.worker_recovery import Workers
from chaos_tests.runners.process_tree import any_died
from holdfast.client import ApiError
from infrastructure.local.readiness import holds_within

if TYPE_CHECKING:
    from chaos_tests.runners.system import System

Scenario = Callable[["System"], set[str]]
SHOPPING_SECONDS, DEATH_SECONDS = 4.0, 30.0
API_SECONDS = 10
PATIENCE_SECONDS = 60.0
BATCH_EVENTS = 60
EVENTS, ARCHIVE = "holdfast.events", "worker-archive"
RELAYS = ("relay-1", "relay-2")
CHARGED_LATE = {"kind": "hang", "rate": 1.0, "seconds": 2, "after": True, "match": {"operation": "confirm"}}


def killed_at(crash_point: str, *processes: str, shoppers: int = 1) -> Scenario:
    """The processes kill themselves at a crash point, and restart without it, while `shoppers` place orders."""

    def scenario(system: System) -> set[str]:
        alive = system.arm(processes, crash_point)
        with ExitStack() as shopping:
            for _ in range(shoppers):
                shopping.enter_context(Shopper(system.customer()))
            wait_until(lambda: any_died(alive), f"nobody died at {crash_point}", DEATH_SECONDS)
        system.override({name: {} for name in processes})
        return set()

    scenario.__name__ = f"killed_at_{crash_point.partition(':')[0].replace('.', '_')}"
    return scenario


def every_event_twice(system: System) -> set[str]:
    """Deliver every event of some seconds a second time."""
    connection = pika.BlockingConnection(pika.URLParameters(system.stack.urls.rabbitmq))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EVENTS, "#")
    received: list[tuple[Any, bytes]] = []
    with Shopper(system.customer()) as shopper:
        time.sleep(SHOPPING_SECONDS)
    system.settle([answer.order_id for answer in shopper.answers if answer.order_id])
    for method, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=1):
        if method is None or body is None:
            break
        received.append((properties, body))
    channel.cancel()
    channel.queue_unbind(queue, EVENTS, "#")
    for properties, body in received:
        channel.basic_publish(EVENTS, properties.headers["shadow"], body, properties)
    connection.close()
    time.sleep(SHOPPING_SECONDS)
    return set()


def document_store_killed(system: System) -> set[str]:
    """MongoDB is killed several times while events are archived: a kill loses only the most recent writes."""
    workers = Workers(system.stack)

    def kill() -> None:
        for _ in range(5):
            _await_archived(workers, BATCH_EVENTS)
            system.stack.kill("mongodb")
        _await_archived(workers, BATCH_EVENTS)

    return shopping(system, kill, lambda: None, clients=4)


def _await_archived(workers: Workers, events: int) -> None:
    before = workers.handled().get(ARCHIVE, 0)
    wait_until(lambda: workers.handled().get(ARCHIVE, 0) >= before + events, "the archive stores nothing")


def provider_stopped(system: System) -> set[str]:
    """The payment provider is down for longer than the retries."""
    return shopping(system, lambda: system.stack.stop("sandbox"), lambda: system.stack.start("sandbox"))


def answers_lost_after_charging(system: System) -> set[str]:
    """The provider charges, and its response is lost."""
    fault = {"kind": "lost_answer", "rate": 1.0, "match": {"operation": "confirm"}}
    return shopping(system, lambda: system.sandbox_fault(**fault), system.restore_sandbox)


def cancelled_in_flight(system: System) -> set[str]:
    """Customers cancel after the provider has charged and before it responds."""
    customer = system.customer()
    system.sandbox_fault(**CHARGED_LATE)
    for charges in range(1, 5):
        order_id = customer.post("/api/v1/orders", BODY, key=str(uuid.uuid4()))["id"]
        wait_until_injected(system, charges)
        with suppress(ApiError):
            customer.post(f"/api/v1/orders/{order_id}/cancel")
    system.restore_sandbox()
    return set()


def last_items(system: System) -> set[str]:
    """Ten customers order the last three items."""
    sku = f"CHAOS-LAST-{uuid.uuid4().hex[:8]}"
    product = {"sku": sku, "name": "Last", "price": {"amount": 100, "currency": "usd"}, "on_hand": 3}
    system.target().operator().post("/api/v1/products", product)
    time.sleep(2)
    customer = system.customer()
    body = {"items": [{"sku": sku, "quantity": 1}], "payment_method": "pm_card_visa"}
    with ThreadPoolExecutor(10) as executor:
        placed = list(executor.map(lambda _: customer.post("/api/v1/orders", body, key=str(uuid.uuid4())), range(10)))
    unsettled = system.settle([order["id"] for order in placed])
    return {"P1"} if unsettled else set()


def same_key_again(system: System) -> set[str]:
    """A customer without a response repeats the request with the same key."""
    customer, key = system.customer(), str(uuid.uuid4())
    ids = {customer.post("/api/v1/orders", BODY, key=key)["id"] for _ in range(3)}
    return {"P2"} if len(ids) > 1 else set()


def undecodable(system: System) -> set[str]:
    """Malformed messages, published directly to a queue: each must become a dead letter."""
    operator = system.target().operator()

    def filed() -> int:
        return sum(each["count"] for each in operator.get("/api/v1/system")["dead_letters"] or [])

    before, sent = filed(), 10
    connection = pika.BlockingConnection(pika.URLParameters(system.stack.urls.rabbitmq))
    for _ in range(sent):
        properties = pika.BasicProperties(content_type="application/cloudevents+json", headers={"task": "x"})
        connection.channel().basic_publish("", "orders.events", uuid.uuid4().bytes, properties)
    connection.close()
    return set() if holds_within(lambda: filed() >= before + sent, 15, 0.5) else {"P5"}


def wait_until(condition: Callable[[], bool], complaint: str, seconds: float = PATIENCE_SECONDS) -> None:
    if not holds_within(condition, seconds, 0.05):
        raise TimeoutError(complaint)


def wait_until_injected(system: System, times: int) -> None:
    """Wait until the provider's fault has affected that many requests. Raises `TimeoutError`."""
    url = f"{system.stack.urls.http('sandbox')}/faults"
    wait_until(
        lambda: requests.get(url, timeout=API_SECONDS).json()["data"][0]["struck"] >= times, "the fault had no effect"
    )


def each_of(act: Callable[[str], object], names: tuple[str, ...]) -> None:
    for name in names:
        act(name)


def shopping(system: System, begin: Callable[[], object], restore: Callable[[], object], clients: int = 1) -> set[str]:
    """Orders before, during and after."""
    shoppers = [Shopper(system.customer()) for _ in range(clients)]
    try:
        for shopper in shoppers:
            shopper.__enter__()
        time.sleep(1)
        begin()
        time.sleep(SHOPPING_SECONDS)
        restore()
        time.sleep(1)
    finally:
        restore()
        for shopper in shoppers:
            shopper.__exit__()
    return set()
