"""Event streams through the gateway: every event once, while live and the archive worker are killed."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests

from tests.e2e.shop import CONFIRMED, place
from tests.e2e.test_kills import kill
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrastructure.local.stack import Stack
    from tests.e2e.shop import Customer, Shop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
STREAM, READ_SECONDS = "/api/v1/orders/events", 40


class Follower(threading.Thread):
    """Follows a customer's orders like a browser: reconnects with its last id until it is stopped."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(daemon=True)
        self.seen: list[str] = []
        self.connections = 0
        self.last_id: str | None = None
        self._url, self._token, self._stopped = url, token, threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                for frame in self._frames():
                    if frame.get("event", "message") == "message":
                        self.seen.append(json.loads(frame["data"])["id"])
            except requests.RequestException:
                pass
            time.sleep(0.1)

    def stop(self) -> None:
        self._stopped.set()

    def _frames(self) -> Iterator[dict[str, str]]:
        headers = {"Authorization": f"Bearer {self._token}"}
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        with requests.get(self._url + STREAM, headers=headers, stream=True, timeout=READ_SECONDS) as reply:
            self.connections += reply.ok
            frame: dict[str, str] = {}
            for line in reply.iter_lines(chunk_size=None, decode_unicode=True) if reply.ok else ():
                name, _, value = line.partition(": ")
                if line:
                    frame[name] = value
                    continue
                self.last_id = frame.get("id", self.last_id)
                if "data" in frame:
                    yield frame
                frame = {}


def test_a_stream_delivers_every_event_once_through_kills(stack: Stack, shop: Shop, customer: Customer) -> None:
    sku = shop.product(on_hand=1_000)
    follower = Follower(shop.url, customer.token)
    follower.start()
    eventually(lambda: follower.last_id)
    orders = []
    for number in range(9):
        orders.append(place(customer, {sku: 1})["id"])
        name = {1: "service-live", 2: "worker-archive"}.get(number % 3)
        if name is not None:
            kill(stack, name)
    # All five: the archive may still wait for an earlier event of an order, redelivered after a kill.
    ids = {entry["id"] for order_id in orders for entry in shop.await_events(order_id, *CONFIRMED)}
    eventually(lambda: set(follower.seen) >= ids)
    follower.stop()
    assert sorted(follower.seen) == sorted(ids)
    assert follower.connections > 1
