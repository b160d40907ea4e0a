"""Customers who order continuously, and repeat an order with the same Idempotency-Key until it is accepted.

Their number of open orders is limited, so they are only as fast as the system on this machine.
"""

import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.e2e.api import Api, answer, problem
from tests.e2e.shop import DECLINED, OPEN, ORDERS, VISA, Customer, Shop, order_of
from tests.e2e.waiting import eventually

# Limits for hangs. A process starts slowly on a busy machine.
PATIENCE_SECONDS = 240
GIVE_UP_SECONDS = 180
AGAIN_SECONDS = 0.2
# A process that dies during a response sends only a part of it: only the repetition shows whether the order was
# accepted.
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
STOP_SECONDS = 240


@dataclass
class Buyers:
    """The responses to the buyers so far: the ids of their accepted orders, and unexpected ones.

    Each has at most `ahead` open orders, and makes a pause after each order.
    """

    customers: list[Customer]
    skus: list[str]
    ahead: int
    pause_seconds: float
    accepted: dict[str, list[str]] = field(default_factory=dict)
    repeated: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(map(len, self.accepted.values()))

    def wait_for_more(self, number: int) -> None:
        """Until that many further orders have been accepted."""
        target = self.count + number
        eventually(lambda: self.complaints or self.count >= target, seconds=PATIENCE_SECONDS)
        assert self.complaints == []

    def assert_each_ordered_once(self) -> None:
        """Every customer has exactly the acknowledged orders: none is lost or duplicated."""
        assert self.complaints == []
        for customer in self.customers:
            known = [order["id"] for order in customer.api.all(ORDERS)]
            ids = self.accepted[customer.id]
            assert len(ids) == len(set(ids))
            assert sorted(known) == sorted(ids)


@contextmanager
def buying(
    shop: Shop, skus: list[str], *, number: int = 3, ahead: int = 10, pause_seconds: float = 0.25
) -> Iterator[Buyers]:
    """Let that many customers buy until the end of the block."""
    buyers = Buyers([shop.customer() for _ in range(number)], skus, ahead, pause_seconds)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_buy, args=(buyers, customer, stop), daemon=True) for customer in buyers.customers
    ]
    for thread in threads:
        thread.start()
    try:
        yield buyers
    finally:
        stop.set()
        for thread in threads:
            thread.join(STOP_SECONDS)
    assert not any(thread.is_alive() for thread in threads)


def all_settled(shop: Shop, *, seconds: float = 240) -> None:
    """Wait until no order of anybody is open."""
    eventually(lambda: _first_open(shop), lambda found: found == [], seconds=seconds)


def order_until_accepted(api: Api, body: dict[str, Any], key: str) -> tuple[str, int]:
    """The order's id, and the number of retries. Only an outage is retried."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    for tries in range(1, 100_000):
        assert time.monotonic() < deadline, f"not accepted in {tries} tries"
        try:
            reply = api.post(ORDERS, body, key=key)
        except BROKEN:
            time.sleep(AGAIN_SECONDS)
            continue
        if reply.status_code == 503:
            problem(reply)
            assert int(reply.headers["Retry-After"]) >= 1
        elif reply.status_code == 409:
            assert problem(reply) == (409, "idempotency_key_in_flight")
        else:
            return answer(reply, 202)["id"], tries
        time.sleep(AGAIN_SECONDS)
    raise AssertionError("never accepted")


def _buy(buyers: Buyers, customer: Customer, stop: threading.Event) -> None:
    chance, api = random.Random(customer.id), customer.api.impatient()
    mine = buyers.accepted.setdefault(customer.id, [])
    try:
        while not stop.is_set():
            method = DECLINED if chance.random() < 0.2 else VISA
            body = order_of({sku: chance.randint(1, 2) for sku in chance.sample(buyers.skus, 2)}, method)
            order_id, tries = order_until_accepted(api, body, str(uuid.uuid4()))
            buyers.repeated += tries > 1
            mine.append(order_id)
            stop.wait(buyers.pause_seconds)
            while len(mine) >= buyers.ahead and not stop.is_set() and _is_open(api, mine[-buyers.ahead]):
                stop.wait(AGAIN_SECONDS)
    except Exception as error:  # noqa: BLE001 - a thread's complaint is the test's to raise
        buyers.complaints.append(f"{type(error).__name__}: {error}")


def _is_open(api: Api, order_id: str) -> bool:
    """Whether the order is open; also true while the status is unknown."""
    try:
        reply = api.get(f"{ORDERS}/{order_id}")
    except BROKEN:
        return True
    return reply.status_code == 503 or answer(reply)["status"] in OPEN


def _first_open(shop: Shop) -> list[dict[str, Any]]:
    """The first open order of each status, with its history, which shows why it stays open."""
    pages = (answer(shop.operator.get(ORDERS, status=status, limit=1)) for status in OPEN)
    return [shop.order(order["id"]) for page in pages for order in page["data"]]
