"""The whole system in `.holdfast-e2e`, for tests that see it from outside.

It starts without data unless it already runs, for example for another session: these tests do not depend on earlier
data, and repair what they break. HOLDFAST_E2E_HOME names a running stack to use instead.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from infrastructure.local.sharing import shared_stack
from infrastructure.local.stack import Stack
from tests.e2e.shop import Customer, Shop
from tests.e2e.waiting import eventually

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system, up and ready."""
    chosen = os.environ.get("HOLDFAST_E2E_HOME")
    if chosen:
        yield Stack(chosen)
        return
    with ExitStack() as stacked:
        turn = os.open(_ROOT, os.O_RDONLY)
        stacked.callback(os.close, turn)
        fcntl.flock(turn, fcntl.LOCK_EX)
        home = _ROOT / ".holdfast-e2e"
        if not Stack(home).is_running:
            Stack(home).down(delete_data=True)
        running = stacked.enter_context(shared_stack(home, servers_only=False))
        fcntl.flock(turn, fcntl.LOCK_UN)
        yield running


@pytest.fixture(scope="session")
def opened(stack: Stack) -> Shop:
    return Shop(stack)


@pytest.fixture
def shop(stack: Stack, opened: Shop) -> Shop:
    """The shop; everything that the previous test stopped is running again."""
    if any(process["state"] != "running" for process in stack.status()["processes"]):
        stack.up()
    eventually(lambda: _is_ready(opened))
    return opened


@pytest.fixture
def customer(shop: Shop) -> Customer:
    return shop.customer()


def _is_ready(shop: Shop) -> bool:
    try:
        return shop.anyone.get("/readyz").ok
    except (requests.ConnectionError, requests.Timeout):
        return False
