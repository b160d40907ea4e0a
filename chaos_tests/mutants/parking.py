"""Events that must be parked: an undecided charge, and charges while the delay queues refuse messages."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import requests

from chaos_tests.actions.subscriptions import consumers_of
from chaos_tests.matrix.run import BODY
from chaos_tests.mutants.scenarios import API_SECONDS, wait_until_injected

if TYPE_CHECKING:
    from chaos_tests.runners.system import System

DELAY_QUEUE = "holdfast.retry.1s"
UNDECIDED = {"kind": "undecided", "match": {"operation": "confirm"}, "remaining": 1}
UNDECIDED_SECONDS = 8.0
# Long enough for a message that is requeued every second to reach the broker's delivery limit, 20.
UNPARKED_SECONDS = 120.0


def charge_undecided(system: System) -> set[str]:
    """The provider leaves one charge undecided; the worker must handle the others without a pause."""
    customer = system.customer()
    system.sandbox_fault(**UNDECIDED)
    undecided = customer.post("/api/v1/orders", BODY, key=str(uuid.uuid4()))["id"]
    wait_until_injected(system, 1)
    others, paused = [], False
    deadline = time.monotonic() + UNDECIDED_SECONDS
    with consumers_of("payments.events", system.stack.urls.rabbitmq) as count:
        while time.monotonic() < deadline:
            others.append(customer.post("/api/v1/orders", BODY, key=str(uuid.uuid4()))["id"])
            paused |= count() == 0
            time.sleep(0.2)
        unsettled = system.settle(others)
    system.restore_sandbox()
    unsettled += system.settle([undecided])
    return ({"P7"} if paused else set()) | ({"P1"} if unsettled else set())


def outage_without_delay_queues(system: System) -> set[str]:
    """The provider is stopped and the shortest delay queue rejects messages: charges can be neither made nor parked."""
    api = f"{system.stack.urls.rabbitmq_management}/api/bindings/%2F/e/{DELAY_QUEUE}/q/{DELAY_QUEUE}"
    operator, customer = system.target().operator(), system.customer()

    def dead_letters() -> int:
        return len(list(operator.all("/api/v1/dead-letters")))

    before = dead_letters()
    system.stack.stop("sandbox")
    requests.delete(f"{api}/%23", timeout=API_SECONDS).raise_for_status()
    try:
        placed = [customer.post("/api/v1/orders", BODY, key=str(uuid.uuid4()))["id"] for _ in range(4)]
        deadline, dead = time.monotonic() + UNPARKED_SECONDS, 0
        while not dead and time.monotonic() < deadline:
            # In any status, because one beyond the delivery limit is replayed automatically.
            dead = dead_letters() - before
            time.sleep(1)
    finally:
        binding = {"routing_key": "#", "arguments": {}}
        requests.post(api, json=binding, timeout=API_SECONDS).raise_for_status()
        system.stack.start("sandbox")
    return ({"P7"} if dead else set()) | ({"P1"} if system.settle(placed) else set())
