"""The orders that make a process reach the crash point."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pika
import requests

from chaos_tests.runners.system import SKU
from holdfast.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.client import Client

DEATH_SECONDS = 40.0
CROWD = 24
MAX_CROWDS = 15  # the orders must settle within the runner's time-out, also on a busy machine
BATCHES, ALONE = {"EVENT_BATCH_SIZE": "64"}, {"EVENT_BATCH_SIZE": "1"}
POISONED_QUEUE = "inventory.events"


def one_by_one(is_dead: Callable[[], bool], customer: Client, placed: list[str], poison: Callable[[], object]) -> bool:
    """Place orders that are confirmed, declined, or cancelled during the charge; returns whether the process died."""
    deadline, number = time.monotonic() + DEATH_SECONDS, 0
    while time.monotonic() < deadline:
        number += 1
        poison()
        with suppress(ApiError, requests.RequestException):
            placed.append(_place(customer, number))
            if number % 3 == 1:
                time.sleep(0.6)
                customer.post(f"/api/v1/orders/{placed[-1]}/cancel")
        if is_dead():
            return True
        time.sleep(0.1)
    return False


def in_crowds(is_dead: Callable[[], bool], customer: Client, placed: list[str], poison: Callable[[], object]) -> bool:
    """Place many concurrent orders repeatedly, so that workers get batches; returns whether the process died."""

    def place(number: int) -> None:
        with suppress(ApiError, requests.RequestException):
            placed.append(_place(customer, number))

    deadline, crowds = time.monotonic() + DEATH_SECONDS, 0
    with ThreadPoolExecutor(CROWD) as executor:
        while time.monotonic() < deadline:
            poison()
            if crowds < MAX_CROWDS:
                list(executor.map(place, range(CROWD)))
            crowds += 1
            if is_dead():
                return True
            time.sleep(0.1)
    return False


def publish_poison(broker_url: str, count: int = 4) -> list[str]:
    """Publish events that a worker's handler rejects to its queue; returns their ids."""
    event_ids = [str(uuid.uuid4()) for _ in range(count)]
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    for event_id in event_ids:
        connection.channel().basic_publish("", POISONED_QUEUE, json.dumps(_poison(event_id)).encode(), properties)
    connection.close()
    return event_ids


def _poison(event_id: str) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/services/orders",
        "type": "order.placed.v1",
        "subject": event_id,
        "time": "2026-01-01T00:00:00Z",
        "sequence": 1,
        "correlationid": event_id,
        "data": {"order_id": "this is no order", "items": []},
    }


def _place(customer: Client, number: int) -> str:
    method = "pm_card_chargeDeclined" if number % 3 == 0 else "pm_card_visa"
    body = {"items": [{"sku": SKU, "quantity": 1}], "payment_method": method}
    return str(customer.post("/api/v1/orders", body, key=str(uuid.uuid4()))["id"])
