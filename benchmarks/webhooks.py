"""`python -m benchmarks.webhooks`: 1,000 events to 20 endpoints, five of them dead, slow, flapping, gone, redirecting.

On a stack that runs already (--home), through its API alone. First the healthy endpoints are measured alone, then
beside the others: the delay from an event's time to its arrival, verified by the public library. At the end every
delivery must be made, wait its turn or be listed as failed; exits with 1 if one is missing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from common.tests.webhook_receiver import Receiver, Reply, receiving
from holdfast.target import target_of
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.tests.webhook_receiver import Received
    from holdfast.client import Client

ENDPOINTS, TYPE = "/api/v1/webhook-endpoints", "stock.adjusted.v1"
DEAD_URL = "http://127.0.0.1:1/"
PATIENCE_SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", default=".holdfast")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=5.0, help="events a second")
    parser.add_argument("--healthy", type=int, default=15)
    wanted = parser.parse_args()
    operator = target_of(Stack(wanted.home)).operator(patient=True)
    missing = 0
    for others in (False, True):
        missing += _round(operator, wanted, others=others)
    sys.exit(1 if missing else 0)


@dataclass(frozen=True, slots=True)
class Endpoint:
    path: str
    place: str
    secret: str
    is_healthy: bool


def _round(operator: Client, wanted: argparse.Namespace, *, others: bool) -> int:
    """One measurement; returns the number of deliveries that are missing."""
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        urls = {f"/{number}": f"{receiver.url}/{number}" for number in range(wanted.healthy)}
        endpoints = _register(operator, urls, is_healthy=True)
        if others:
            _misbehave(receiver)
            bad = {path: f"{receiver.url}{path}" for path in receiver.replies} | {"/dead": DEAD_URL}
            endpoints += _register(operator, bad, is_healthy=False)
        stack.callback(_delete, operator, endpoints)
        receiver.secrets |= {each.path: each.secret for each in endpoints}
        _wait_until_subscribed(operator, endpoints)
        _send(operator, receiver, wanted, [each.path for each in endpoints if each.is_healthy])
        return _report(operator, receiver, endpoints, wanted.events)


def _register(operator: Client, urls: Mapping[str, str], *, is_healthy: bool) -> list[Endpoint]:
    made = {path: operator.post(ENDPOINTS, {"url": url, "event_types": [TYPE]}) for path, url in urls.items()}
    return [Endpoint(path, f"{ENDPOINTS}/{each['id']}", each["secret"], is_healthy) for path, each in made.items()]


def _wait_until_subscribed(operator: Client, endpoints: list[Endpoint]) -> None:
    while not all(operator.get(each.place)["subscriptions"][0]["since"] for each in endpoints):
        time.sleep(0.2)


def _misbehave(receiver: Receiver) -> None:
    counts: Counter[str] = Counter()

    def flap(request: Received) -> Reply:
        counts[request.path] += 1
        return Reply(500 if counts[request.path] % 2 else 200)

    receiver.replies |= {
        "/slow": Reply(200, delay_seconds=15.0),
        "/flapping": flap,
        "/gone": Reply(410),
        "/redirecting": Reply(302, {"location": f"{receiver.url}/elsewhere"}),
    }


def _send(operator: Client, receiver: Receiver, wanted: argparse.Namespace, healthy: list[str]) -> None:
    """Adjust a product's stock that many times, and wait until healthy endpoints have all of it."""
    sku = f"BENCH-{uuid.uuid4().hex[:8]}"
    price = {"amount": 100, "currency": "usd"}
    body = {"sku": sku, "name": "Measured", "price": price, "on_hand": 1}
    operator.post("/api/v1/products", body)  # its first stock is the first event
    began = time.monotonic()
    for number in range(wanted.events - 1):
        time.sleep(max(0.0, began + number / wanted.rate - time.monotonic()))
        operator.post(f"/api/v1/products/{sku}/stock-adjustments", {"delta": 1, "reason": "measured"})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(len(_ids(receiver, path)) < wanted.events for path in healthy) and time.monotonic() < deadline:
        time.sleep(0.5)


def _ids(receiver: Receiver, path: str) -> set[str]:
    return {each.headers["webhook-id"] for each in receiver.at(path)}


def _report(operator: Client, receiver: Receiver, endpoints: list[Endpoint], events: int) -> int:
    offset = time.time() - time.monotonic()
    statuses: Counter[str] = Counter()
    delays, verified, forged, missing = list[float](), 0, 0, 0
    for endpoint in endpoints:
        for request in receiver.at(endpoint.path):
            if request.payload is None:
                forged += 1
                continue
            verified += 1
            if endpoint.is_healthy:
                sent = datetime.fromisoformat(request.payload["timestamp"]).timestamp()
                delays.append(request.at + offset - sent)
        deliveries: list[dict[str, Any]] = list(operator.all(f"{endpoint.place}/deliveries"))
        statuses.update(each["status"] for each in deliveries)
        missing += events - len(deliveries)
    print(
        f"{len(endpoints)} endpoints, {events} events: {verified} requests verified, {forged} not; "
        f"deliveries {dict(statuses)}, missing {missing}; healthy delay p50 {statistics.median(delays):.3f} s, "
        f"p95 {statistics.quantiles(delays, n=20)[-1]:.3f} s"
    )
    return missing + forged


def _delete(operator: Client, endpoints: list[Endpoint]) -> None:
    for endpoint in endpoints:
        operator.call("DELETE", endpoint.place)


if __name__ == "__main__":
    main()
