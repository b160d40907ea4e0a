"""`python -m benchmarks.many_endpoints`: 10,000 webhook endpoints, and one event for each of them at once.

On a throwaway stack, or one that runs (--home), through its API alone: customers with 50 endpoints each (as many as one
account may have; one more must be refused), and an order of each. Prints how long the one worker takes to send all of
it, and its memory and threads before and after. Exits with 1 if a webhook does not arrive or a customer gets more.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.streams import figures
from benchmarks.throwaway_stack import throwaway_stack
from common.tests.webhook_receiver import receiving
from holdfast.client import ApiError
from holdfast.target import target_of
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from holdfast.client import Client
    from holdfast.target import Target

ENDPOINTS, TYPE, WORKER = "/api/v1/webhook-endpoints", "order.placed.v1", "worker-notifications"
PER_CUSTOMER, CALLERS = 50, 4
PATIENCE_SECONDS = 900.0
SKU = f"MANY-{uuid.uuid4().hex[:8]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", help="directory of a running stack; default: start a temporary one")
    parser.add_argument("--port-base", type=int, default=8600, help="first port of the temporary stack")
    parser.add_argument("--endpoints", type=int, default=10_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        running = Stack(arguments.home) if arguments.home else None
        running = running or stack.enter_context(throwaway_stack(".holdfast-many", arguments.port_base))
        sys.exit(0 if _measure(running, arguments.endpoints // PER_CUSTOMER) else 1)


def _measure(stack: Stack, customers: int) -> bool:
    target = target_of(stack)
    price = {"amount": 100, "currency": "usd"}
    target.operator().post("/api/v1/products", {"sku": SKU, "name": "M", "price": price, "on_hand": customers})
    with receiving() as receiver, ThreadPoolExecutor(CALLERS) as callers:
        print_figures("before", stack)
        began = time.monotonic()
        clients = list(callers.map(lambda number: _customer(target, receiver.url, number), range(customers)))
        print(f"{customers * PER_CUSTOMER:,} endpoints of {customers} customers in {time.monotonic() - began:.0f} s")
        refused = all(callers.map(lambda client: _is_refused(client, receiver.url), clients))
        _wait_until_subscribed(clients)
        print_figures("idle", stack)
        began = time.monotonic()
        list(callers.map(_order, clients))
        ordered = time.monotonic() - began
        expected, deadline = customers * PER_CUSTOMER, time.monotonic() + PATIENCE_SECONDS
        while len({each.path for each in list(receiver.requests)}) < expected and time.monotonic() < deadline:
            time.sleep(0.5)
        arrived = len({each.path for each in list(receiver.requests)})
        seconds = max((each.at for each in receiver.requests), default=began) - began
    print_figures("after", stack)
    print(f"{customers} orders in {ordered:.1f} s; {arrived:,} of {expected:,} webhooks arrived within {seconds:.1f} s")
    print(f"one endpoint more for a customer: {'refused' if refused else 'NOT refused'}")
    return arrived == expected and refused


def print_figures(when: str, stack: Stack) -> None:
    megabytes, threads = figures(stack.pid(WORKER) or 0)
    print(f"{WORKER} {when}: {megabytes:.0f} MB, {threads} threads")


def _customer(target: Target, url: str, number: int) -> Client:
    _, credentials = target.register(f"many-{number}", patient=True)
    client = target.client_of(credentials, patient=True)
    for each in range(PER_CUSTOMER):
        client.waiting(60).post(ENDPOINTS, _endpoint(f"{url}/{number}/{each}"), key=str(uuid.uuid4()))
    return client


def _is_refused(client: Client, url: str) -> bool:
    try:
        client.post(ENDPOINTS, _endpoint(f"{url}/too-many"))
    except ApiError as error:
        return error.status == requests.codes.conflict and error.code == "too_many_endpoints"
    return False


def _endpoint(url: str) -> dict[str, Any]:
    return {"url": url, "event_types": [TYPE]}


def _wait_until_subscribed(clients: list[Client]) -> None:
    for client in clients:
        while not all(each["subscriptions"][0]["since"] for each in client.all(ENDPOINTS)):
            time.sleep(0.5)


def _order(client: Client) -> None:
    body = {"items": [{"sku": SKU, "quantity": 1}], "payment_method": "pm_card_visa"}
    client.waiting(60).post("/api/v1/orders", body, key=str(uuid.uuid4()))


if __name__ == "__main__":
    main()
