"""kill -9 of every worker, every service and the active relay, one after the other, under load."""

import pytest
import requests

from infrastructure.local.stack import Stack
from infrastructure.processes import PROCESSES, process
from tests.e2e.auditing import assert_kept
from tests.e2e.buyers import all_settled, buying
from tests.e2e.shop import Shop
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
VICTIMS = [line.name for line in PROCESSES if line.name.startswith(("worker-", "service-"))]
RELAYS = [line.name for line in PROCESSES if line.name.startswith("relay-")]
PROBE_SECONDS = 5


def answers(stack: Stack, name: str) -> bool:
    try:
        reply = requests.get(f"{stack.urls.http(name)}{process(name).probe}", timeout=PROBE_SECONDS)
    except requests.RequestException:
        return False
    return reply.ok


def kill(stack: Stack, name: str) -> None:
    """Kill it, and wait until its successor is ready."""
    pid = stack.pid(name)
    stack.kill(name)
    eventually(lambda: stack.pid(name), lambda successor: successor not in {None, pid})
    eventually(lambda: answers(stack, name))


def active_relay(stack: Stack) -> str | None:
    """The relay that publishes the events of orders, by its own metrics."""
    for name in RELAYS:
        try:
            metrics = requests.get(f"{stack.urls.http(name)}/metrics", timeout=PROBE_SECONDS).text
        except requests.RequestException:
            continue
        if 'holdfast_relay_active{database="orders"} 1.0' in metrics:
            return name
    return None


def test_every_process_is_killed_once_under_load_without_loss(stack: Stack, shop: Shop) -> None:
    skus = [shop.product(on_hand=10_000) for _ in range(3)]
    with buying(shop, skus) as buyers:
        buyers.wait_for_more(3)
        for name in VICTIMS:
            kill(stack, name)
            buyers.wait_for_more(3)
        first = eventually(lambda: active_relay(stack)) or ""
        kill(stack, first)
        eventually(lambda: active_relay(stack))
        buyers.wait_for_more(3)
    all_settled(shop)
    buyers.assert_each_ordered_once()
    assert_kept(stack)
