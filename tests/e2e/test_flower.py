"""Flower shows events by their types, and requires the password."""

from typing import Any

import pytest

from infrastructure.local.readiness import request_here
from infrastructure.local.stack import Stack
from tests.e2e.shop import Customer, Shop, place
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SECONDS = 60.0


def tasks(stack: Stack, name: str) -> list[dict[str, Any]]:
    """Flower's tasks with that name."""
    answer = request_here("GET", f"{stack.urls.flower}/api/tasks?taskname={name}", SECONDS)
    return list(answer.json().values())


def test_each_context_shows_a_handled_event_as_a_task_of_its_type(stack: Stack, shop: Shop, customer: Customer) -> None:
    sku = shop.product()

    def seen() -> set[str]:
        # One after the other, because Flower shows only a sample of concurrent tasks.
        shop.settled(place(customer, {sku: 1})["id"])
        return {task["worker"].partition("@")[0] for task in tasks(stack, "order.placed.v1")}

    eventually(seen, lambda workers: {"inventory", "payments", "archive"} <= workers)


def test_requests_without_the_password_are_rejected(stack: Stack) -> None:
    assert request_here("GET", f"{stack.urls.http('flower')}/api/tasks", SECONDS).status_code == 401
