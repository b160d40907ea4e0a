"""`python -m benchmarks.webhooks`: 1,000 events to 20 endpoints, five of them dead, slow, flapping, gone, redirecting.

On a throwaway stack, or one that runs (--home), through its API alone. First the healthy endpoints are measured alone,
then beside the others: the delay from an event's time to its arrival, verified by the library `standardwebhooks`.
Exit code 0: each event has a delivery at each endpoint that was made or is listed as failed; what is listed as made
arrived; every signature was good; no redirect was followed; the healthy endpoints' median is unchanged (--tolerance).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.throwaway_stack import throwaway_stack
from common.tests.webhook_receiver import Receiver, Reply, receiving
from holdfast.target import target_of
from infrastructure.local.readiness import holds_within
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.tests.webhook_receiver import Received
    from holdfast.client import Client

ENDPOINTS, TYPE = "/api/v1/webhook-endpoints", "stock.adjusted.v1"
DEAD_URL, ELSEWHERE = "http://127.0.0.1:1/", "/elsewhere"
SETTLED = frozenset({"delivered", "failed"})
PATIENCE_SECONDS = 180.0
SLACK_SECONDS = 0.05  # medians that differ by less are the same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", help="directory of a running stack; default: start a temporary one")
    parser.add_argument("--port-base", type=int, default=8600, help="first port of the temporary stack")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=5.0, help="events a second")
    parser.add_argument("--healthy", type=int, default=15)
    parser.add_argument("--tolerance", type=float, default=0.2, help="allowed relative difference of the medians")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        running = Stack(arguments.home) if arguments.home else None
        running = running or stack.enter_context(throwaway_stack(".holdfast-webhooks", arguments.port_base))
        operator = target_of(running).operator(patient=True)
        rounds = [_round(operator, arguments, others=others) for others in (False, True)]
    sys.exit(_show(rounds, arguments.tolerance))


@dataclass(frozen=True, slots=True)
class Endpoint:
    path: str
    place: str
    secret: str
    is_healthy: bool


@dataclass
class Round:
    """One measurement: the deliveries by status, the healthy endpoints' delays, and the errors."""

    name: str
    endpoints: int
    events: int
    statuses: Counter[str] = field(default_factory=Counter)
    verified: int = 0
    delays: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _round(operator: Client, arguments: argparse.Namespace, *, others: bool) -> Round:
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        urls = {f"/{number}": f"{receiver.url}/{number}" for number in range(arguments.healthy)}
        endpoints = _register(operator, urls, is_healthy=True)
        if others:
            _misbehave(receiver)
            bad = {path: f"{receiver.url}{path}" for path in receiver.replies} | {"/dead": DEAD_URL}
            endpoints += _register(operator, bad, is_healthy=False)
        stack.callback(_delete, operator, endpoints)
        receiver.secrets |= {each.path: each.secret for each in endpoints}
        _wait_until_subscribed(operator, endpoints)
        sku = _send(operator, receiver, arguments, [each.path for each in endpoints if each.is_healthy])
        ids = {event["id"] for event in operator.all("/api/v1/events", subject=sku, type=TYPE)}
        found = Round("beside five others" if others else "healthy alone", len(endpoints), len(ids))
        if len(ids) != arguments.events:
            found.problems.append(f"{len(ids)} of {arguments.events} events were archived")
        for endpoint in endpoints:
            _judge(operator, receiver, endpoint, ids, found)
        if followed := len(receiver.at(ELSEWHERE)):
            found.problems.append(f"{followed} redirects were followed")
        return found


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
        "/redirecting": Reply(302, {"location": f"{receiver.url}{ELSEWHERE}"}),
    }


def _send(operator: Client, receiver: Receiver, arguments: argparse.Namespace, healthy: list[str]) -> str:
    """Adjust a product's stock that many times, and wait until healthy endpoints have all of it; returns its SKU."""
    sku = f"BENCH-{uuid.uuid4().hex[:8]}"
    price = {"amount": 100, "currency": "usd"}
    body = {"sku": sku, "name": "Measured", "price": price, "on_hand": 1}
    operator.post("/api/v1/products", body)  # its first stock is the first event
    began = time.monotonic()
    for number in range(arguments.events - 1):
        time.sleep(max(0.0, began + number / arguments.rate - time.monotonic()))
        operator.post(f"/api/v1/products/{sku}/stock-adjustments", {"delta": 1, "reason": "measured"})
    holds_within(lambda: all(len(receiver.at(path)) >= arguments.events for path in healthy), PATIENCE_SECONDS, 0.5)
    return sku


def _judge(operator: Client, receiver: Receiver, endpoint: Endpoint, ids: set[str], found: Round) -> None:
    """Count the deliveries of one endpoint, and record missing ones."""
    offset = time.time() - time.monotonic()
    arrived: dict[str, float] = {}
    for request in receiver.at(endpoint.path):
        if request.payload is None:
            found.problems.append(f"{endpoint.path}: a signature is not good")
        elif request.payload["id"] in ids:
            found.verified += 1
            sent = datetime.fromisoformat(request.payload["timestamp"]).timestamp()
            arrived.setdefault(request.payload["id"], request.at + offset - sent)
    if endpoint.is_healthy:
        found.delays += arrived.values()
    else:
        operator.call(
            "PATCH", endpoint.place, body={"enabled": False}
        )  # deliveries that wait for a retry are listed as failed
    deliveries = _deliveries(operator, endpoint, ids)
    found.statuses.update(each["status"] for each in deliveries.values())
    made = {event_id for event_id, each in deliveries.items() if each["status"] == "delivered"}
    unsettled = [each["status"] for each in deliveries.values() if each["status"] not in SETTLED]
    for count, what in (
        (len(ids - deliveries.keys()), "have no delivery"),
        (len(unsettled), "are neither made nor listed as failed"),
        (len(made - arrived.keys()), "are listed as made and did not arrive"),
        (len(ids - made) if endpoint.is_healthy else 0, "were not made to a healthy endpoint"),
    ):
        if count:
            found.problems.append(f"{endpoint.path}: {count} of {len(ids)} {what}")


def _deliveries(operator: Client, endpoint: Endpoint, ids: set[str]) -> dict[str, dict[str, Any]]:
    """Deliveries by event, once none is in flight (a running turn ends within the time-out)."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = {each["event_id"]: each for each in operator.all(f"{endpoint.place}/deliveries")}
        found = {event_id: each for event_id, each in found.items() if event_id in ids}
        if all(each["status"] in SETTLED for each in found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _delete(operator: Client, endpoints: list[Endpoint]) -> None:
    for endpoint in endpoints:
        operator.call("DELETE", endpoint.place)


def _show(rounds: list[Round], tolerance: float) -> int:
    """Print the rounds side by side, and the errors; returns the exit code."""
    table = Table("", *(each.name for each in rounds))
    rows: dict[str, list[str]] = {
        "endpoints": [f"{each.endpoints}" for each in rounds],
        "events": [f"{each.events:,}" for each in rounds],
        "deliveries made": [f"{each.statuses['delivered']:,}" for each in rounds],
        "deliveries listed as failed": [f"{each.statuses['failed']:,}" for each in rounds],
        "requests verified": [f"{each.verified:,}" for each in rounds],
        "healthy endpoints' delay, median": [f"{statistics.median(each.delays or [0]):.3f} s" for each in rounds],
        "healthy endpoints' delay, p95": [
            f"{statistics.quantiles(each.delays or [0, 0], n=20)[-1]:.3f} s" for each in rounds
        ],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    alone, beside = (statistics.median(each.delays or [0]) for each in rounds)
    problems = [f"{each.name}: {problem}" for each in rounds for problem in each.problems]
    if beside > alone * (1 + tolerance) + SLACK_SECONDS:
        problems.append(f"the median grew from {alone:.3f} s to {beside:.3f} s")
    console = Console()
    console.print(table)
    for problem in problems:
        console.print(problem, style="red", highlight=False)
    console.print("Not as it should be." if problems else "Every delivery is made or listed, the median unchanged.")
    return 1 if problems else 0


if __name__ == "__main__":
    main()
