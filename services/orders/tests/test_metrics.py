"""The metrics of orders: each change is counted once, also after duplicates, and with its reason."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.messaging.inbox import AlreadyHandled
from services.orders import timeouts, usecases
from services.orders.domain import CancelReason
from services.orders.tests.builders import delivery_of, place
from services.orders.tests.test_api import ANN, BODY, post

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
ENDED = "holdfast_orders_cancelled_total"
TOOK = "holdfast_order_confirmation_seconds"


def read(client: Any) -> dict[str, float]:
    text = client.get("/metrics").get_data(as_text=True)
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return {f"{each.name}{each.labels.get('reason', '')}": each.value for each in samples if "_order" in each.name}


def grown(client: Any, act: Callable[[], object]) -> dict[str, float]:
    """The metrics that `act` increases, with the increase."""
    before = read(client)
    act()
    after = read(client)
    return {name: after[name] - before[name] for name in after if after[name] != before.get(name)}


def test_an_accepted_order_is_counted_once(client: Any) -> None:
    def act() -> None:
        post(client, BODY, key="k")
        post(client, BODY, key="k")
        post(client, BODY | {"items": [{"sku": "NONE", "quantity": 1}]})

    assert grown(client, act) == {"holdfast_orders_accepted_total": 1}


def test_a_confirmation_is_counted_once_with_its_duration(client: Any, engine: Engine) -> None:
    order_id = place(engine)
    captured = delivery_of("payment.captured.v1", order_id)

    def act() -> None:
        for delivery in (captured, captured, delivery_of("payment.captured.v1", order_id, 2)):
            with suppress(AlreadyHandled):
                usecases.confirm_order(engine, delivery, order_id)

    found = grown(client, act)
    assert (found["holdfast_orders_confirmed_total"], found[f"{TOOK}_count"]) == (1, 1)
    assert 0 < found[f"{TOOK}_sum"] < 300
    assert not [name for name in found if name.startswith(ENDED)]


def test_each_cancellation_is_counted_once_with_its_reason(client: Any, engine: Engine) -> None:
    refused, requested, late = place(engine), post(client, BODY).json["id"], place(engine)
    reading = timeouts.tick(engine, is_stopped=False)

    def act() -> None:
        for _ in range(2):
            event = delivery_of("stock.rejected.v1", refused)
            usecases.cancel_failed_order(engine, event, refused, CancelReason.OUT_OF_STOCK)
            client.post(f"/api/v1/orders/{requested}/cancel", headers=ANN)
            timeouts.cancel_overdue_orders(
                engine, reading=reading + 1, bound_seconds=0, limit=9, should_continue=lambda: True
            )

    assert grown(client, act) == {f"{ENDED}out_of_stock": 1, f"{ENDED}customer_request": 1, f"{ENDED}timed_out": 1}
    assert usecases.get_order(engine, late, customer_id=None).cancel_reason == "timed_out"


def test_every_reason_starts_at_zero(client: Any) -> None:
    assert {f"{ENDED}{reason}" for reason in CancelReason} <= set(read(client))


def test_a_rolled_back_change_is_not_counted(client: Any, engine: Engine) -> None:
    order_id = place(engine)

    def render(_order: Any) -> dict[str, Any]:
        raise RuntimeError("the reply cannot be made")

    def act() -> None:
        with suppress(RuntimeError):
            usecases.cancel_order(
                engine,
                order_id,
                customer_id=None,
                request_key=None,
                render=render,
                message_context=delivery_of("a.b.v1", "x").message_context,
            )

    assert grown(client, act) == {}
