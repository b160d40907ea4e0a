"""Processes are restarted under load: no request fails, and no accepted order is lost."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import requests

from infrastructure.local.stack import Stack
from tests.e2e.api import answer
from tests.e2e.buyers import all_settled
from tests.e2e.shop import ORDERS, PRODUCTS, Customer, Shop, order_of
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

BUYERS, READERS = 3, 3
# Orders are accepted faster than they are settled: the buyers limit the backlog.
BUYERS_PAUSE_SECONDS, READERS_PAUSE_SECONDS = 0.5, 0.05
SETTLE_SECONDS = 300
# A request may wait for its service's successor, which starts slowly on a busy machine.
PATIENCE_SECONDS = 60
BACK_SECONDS = 120
KINDS = ("service-orders", "service-users", "worker-orders", "worker-payments", "relay-1", "scheduler", "sandbox")


@dataclass
class Traffic:
    """Continuous requests, each over its own connection. Every response except a success is a failure.

    Only a 503 for a slow database is retried, because a busy machine causes it without a restart.
    """

    url: str
    answered: int = 0
    accepted: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def send(self, customer: Customer, method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {customer.token}", "Connection": "close", **options.pop("headers", {})}
        reply = fresh(method, f"{self.url}{path}", headers=headers, **options)
        while reply.status_code == 503 and reply.json()["code"] == "unavailable":
            time.sleep(int(reply.headers["Retry-After"]))
            reply = fresh(method, f"{self.url}{path}", headers=headers, **options)
        self.answered += 1
        if not reply.ok:
            self.failures.append(f"{method} {path}: {reply.status_code} {reply.text}")
        body: dict[str, Any] = reply.json()
        return body

    def wait_for_more(self, number: int) -> None:
        target = self.answered + number
        eventually(lambda: self.failures or self.answered >= target, seconds=PATIENCE_SECONDS)
        assert self.failures == []


def fresh(method: str, url: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=PATIENCE_SECONDS, **options)


@contextmanager
def traffic(shop: Shop) -> Iterator[Traffic]:
    running, stop, sku = Traffic(shop.url), threading.Event(), shop.product(on_hand=100_000)
    customer = shop.customer()

    def buy() -> None:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        order = running.send(customer, "POST", ORDERS, json=order_of({sku: 1}), headers=key)
        running.accepted.append(order.get("id", ""))

    def read() -> None:
        for path in (f"{PRODUCTS}/{sku}", f"{ORDERS}?limit=1", "/api/v1/users/me", "/api/v1/payments?limit=1"):
            running.send(customer, "GET", path)

    def repeated(step: Callable[[], None], pause_seconds: float) -> threading.Thread:
        return threading.Thread(target=repeat, args=(step, pause_seconds, stop, running.failures), daemon=True)

    threads = [repeated(buy, BUYERS_PAUSE_SECONDS) for _ in range(BUYERS)]
    threads += [repeated(read, READERS_PAUSE_SECONDS) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        running.wait_for_more(20)
        yield running
        running.wait_for_more(20)
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS + 10)


def repeat(step: Callable[[], None], pause_seconds: float, stop: threading.Event, failures: list[str]) -> None:
    while not stop.wait(pause_seconds):
        try:
            step()
        except Exception as error:  # noqa: BLE001 - a thread's failure is the test's to report
            failures.append(f"{type(error).__name__}: {error}")


def assert_nothing_is_lost(shop: Shop, running: Traffic) -> None:
    assert running.failures == []
    assert len(running.accepted) == len(set(running.accepted))
    all_settled(shop, seconds=SETTLE_SECONDS)
    for order_id in running.accepted:
        assert shop.order(order_id)["status"] == "confirmed"
    orders = {letter["order_id"] for letter in answer(shop.operator.get("/api/v1/dead-letters", limit=100))["data"]}
    assert orders.isdisjoint(running.accepted)


def pids(stack: Stack) -> dict[str, int | None]:
    return {process["name"]: process["pid"] for process in stack.status()["processes"]}


def is_back(stack: Stack, name: str, before: int | None) -> bool:
    now = next(process for process in stack.status()["processes"] if process["name"] == name)
    return bool(now["state"] == "running" and now["pid"] != before)


def test_a_rolling_restart_of_everything_fails_no_request(stack: Stack, shop: Shop) -> None:
    before = pids(stack)
    with traffic(shop) as running:
        stack.restart()
    after = pids(stack)
    servers = {"postgres", "rabbitmq", "mongodb"}
    assert {name for name in before if before[name] == after[name]} == servers
    assert all(after.values())
    assert_nothing_is_lost(shop, running)


def test_sigterm_to_any_process_fails_no_request(stack: Stack, shop: Shop) -> None:
    with traffic(shop) as running:
        for name in (*KINDS, "gateway"):
            before = stack.pid(name)
            assert before is not None
            os.kill(before, signal.SIGTERM)
            eventually(partial(is_back, stack, name, before), seconds=BACK_SECONDS)
            running.wait_for_more(20)
    assert_nothing_is_lost(shop, running)


def test_kept_alive_connections_survive_a_services_restart(stack: Stack, shop: Shop) -> None:
    path, failures, stop = f"{PRODUCTS}/{shop.product()}", list[str](), threading.Event()
    operator = shop.operator.impatient()

    def read() -> None:
        answer(operator.get(path))

    reader = threading.Thread(target=repeat, args=(read, READERS_PAUSE_SECONDS, stop, failures), daemon=True)
    reader.start()
    stack.restart("service-inventory")
    stop.set()
    reader.join(PATIENCE_SECONDS)
    assert failures == []
