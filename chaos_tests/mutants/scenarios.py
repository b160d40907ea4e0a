"""The scenarios that reveal a missing guarantee. None of them may fail on an unchanged system.

A scenario answers what its clients themselves saw broken; the audit looks at the rest afterwards.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pika
import requests

from chaos_tests.matrix.run import BODY, Shopper
from chaos_tests.runners.process_tree import any_died
from holdfast.client import ApiError

if TYPE_CHECKING:
    from chaos_tests.runners.system import System

Scenario = Callable[["System"], set[str]]
SHOPPING_SECONDS, DEATH_SECONDS = 4.0, 30.0
API_SECONDS = 10
PATIENCE_SECONDS = 60.0
BATCH_EVENTS = 60
EVENT_BY_EVENT = {"average_size": 1_000, "size_variation": 0, "delay": 100_000}  # about an event, and 100 ms
EVENTS = "holdfast.events"
RELAYS = ("relay-1", "relay-2")
CHARGED_LATE = {"kind": "hang", "rate": 1.0, "seconds": 2, "after": True, "match": {"operation": "confirm"}}


def killed_at(crash_point: str, *processes: str) -> Scenario:
    """Processes that kill themselves at a named place, and come back without the trap."""

    def scenario(system: System) -> set[str]:
        alive = system.arm(processes, crash_point)
        with Shopper(system.customer()):
            deadline = time.monotonic() + DEATH_SECONDS
            while not any_died(alive):
                if time.monotonic() > deadline:
                    message = f"nobody died at {crash_point}"
                    raise TimeoutError(message)
                time.sleep(0.05)
        system.override({name: {} for name in processes})
        return set()

    scenario.__name__ = f"killed_at_{crash_point.partition(':')[0].replace('.', '_')}"
    return scenario


def every_event_twice(system: System) -> set[str]:
    """Whoever listens hears every event of some seconds a second time."""
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


def broker_swallows(system: System) -> set[str]:
    """The way to the broker takes every byte and delivers none, until the connections are cut."""
    return _shopping(
        system,
        lambda: system.toxic("rabbitmq", "timeout", "upstream", timeout=0),
        system.restore_proxies,
    )


def broker_without_bindings(system: System) -> set[str]:
    """All queues refuse events for a while. The relays are stopped while only some of them do."""
    api = f"{system.stack.urls.rabbitmq_management}/api"
    listed = requests.get(f"{api}/exchanges/%2F/{EVENTS}/bindings/source", timeout=API_SECONDS).json()

    def unbind() -> None:
        _each(system.stack.stop, RELAYS)
        for binding in listed:
            path = f"bindings/%2F/e/{EVENTS}/q/{binding['destination']}/{binding['properties_key']}"
            requests.delete(f"{api}/{path}", timeout=API_SECONDS).raise_for_status()
        _each(system.stack.start, RELAYS)

    def bind() -> None:
        _each(system.stack.stop, RELAYS)
        for binding in listed:
            path = f"bindings/%2F/e/{EVENTS}/q/{binding['destination']}"
            body = {"routing_key": binding["routing_key"], "arguments": binding["arguments"]}
            requests.post(f"{api}/{path}", json=body, timeout=API_SECONDS).raise_for_status()
        _each(system.stack.start, RELAYS)

    return _shopping(system, unbind, bind)


def cut_in_a_batch(system: System) -> set[str]:
    """The connections to the broker are cut while it has confirmed one half of a batch, and the other is on its way."""
    _each(system.stack.stop, RELAYS)
    with Shopper(system.customer()) as shopper:
        wait_until(lambda: len(shopper.answers) >= BATCH_EVENTS, "few orders were taken")
    connection = pika.BlockingConnection(pika.URLParameters(system.stack.urls.rabbitmq))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EVENTS, "order.placed.v1")
    system.toxic("rabbitmq", "slicer", "upstream", **EVENT_BY_EVENT)
    _each(system.stack.start, RELAYS)

    def arrived() -> int:
        return int(channel.queue_declare(queue, passive=True).method.message_count)

    wait_until(lambda: arrived() >= BATCH_EVENTS // 2, "no events arrived")
    system.switch("rabbitmq", enabled=False)
    system.restore_proxies()
    connection.close()
    return set()


def document_store_killed(system: System) -> set[str]:
    """MongoDB is killed three times while events are filed."""

    def kill() -> None:
        for _ in range(3):
            system.stack.kill("mongodb")
            time.sleep(6)

    return _shopping(system, kill, lambda: None, clients=4)


def provider_stopped(system: System) -> set[str]:
    """The payment provider is away for longer than the retries last."""
    return _shopping(system, lambda: system.stack.stop("sandbox"), lambda: system.stack.start("sandbox"))


def answers_lost_after_charging(system: System) -> set[str]:
    """The provider charges, and its answer is lost."""
    fault = {"kind": "lost_answer", "rate": 1.0, "match": {"operation": "confirm"}}
    return _shopping(system, lambda: system.sandbox_fault(**fault), system.restore_sandbox)


def cancelled_in_flight(system: System) -> set[str]:
    """Customers cancel while the provider, which has charged already, still holds its answer back."""
    customer = system.customer()
    system.sandbox_fault(**CHARGED_LATE)
    for charges in range(1, 5):
        order_id = customer.post("/api/v1/orders", BODY, key=str(uuid.uuid4()))["id"]
        wait_struck(system, charges)
        with suppress(ApiError):
            customer.post(f"/api/v1/orders/{order_id}/cancel")
    system.restore_sandbox()
    return set()


def last_items(system: System) -> set[str]:
    """Ten customers want one of three."""
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
    """A customer that got no answer asks again under the same key."""
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
    deadline = time.monotonic() + 15
    while filed() < before + sent and time.monotonic() < deadline:
        time.sleep(0.5)
    return set() if filed() >= before + sent else {"P5"}


def wait_until(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.05)


def wait_struck(system: System, times: int) -> None:
    """Wait until the provider's fault has affected that many requests. Raises `TimeoutError`."""
    url = f"{system.stack.urls.http('sandbox')}/faults"
    wait_until(
        lambda: requests.get(url, timeout=API_SECONDS).json()["data"][0]["struck"] >= times, "the fault had no effect"
    )


def _each(act: Callable[[str], object], names: tuple[str, ...]) -> None:
    for name in names:
        act(name)


def _shopping(system: System, begin: Callable[[], object], restore: Callable[[], object], clients: int = 1) -> set[str]:
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
