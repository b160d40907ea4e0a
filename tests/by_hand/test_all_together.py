"""Every service and worker is started by hand with `holdfast env`'s `.env`, and an order is confirmed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from dotenv import dotenv_values

from holdfast.client import Client
from infrastructure.local.readiness import wait_for
from infrastructure.local.stack import Stack
from tests.by_hand.starting import SECONDS, holdfast

if TYPE_CHECKING:
    from pathlib import Path

    from tests.by_hand.starting import Started

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_an_order_is_confirmed_and_ctrl_c_ends_each_process(
    home: Path, tree: Path, all_by_hand: dict[str, Started]
) -> None:
    place_order(home, tree)
    for process in all_by_hand.values():
        process.interrupt()
    codes = {folder: process.ends() for folder, process in all_by_hand.items()}
    assert {folder: said for folder, (code, said) in codes.items() if code} == {}
    for folder, (_, said) in codes.items():
        assert "Traceback" not in said, folder


def place_order(home: Path, tree: Path) -> None:
    """Place an order directly at the services, because no gateway runs."""
    urls = Stack(home).urls
    operator = holdfast("token", "--home", str(home)).strip()
    password = str(dotenv_values(tree / "services/users/.env")["SEED_CUSTOMER_PASSWORD"])
    customer = Client(urls.http("service-users")).waiting(SECONDS).token({"username": "customer", "password": password})
    sku, price = f"HAND-{secrets.token_hex(8)}", {"amount": 1250, "currency": "usd"}
    product = {"sku": sku, "name": "Sencha, 100 g", "price": price, "on_hand": 3}
    inventory = Client(urls.http("service-inventory"), lambda: operator).waiting(SECONDS)
    inventory.post("/api/v1/products", product, key=sku)
    orders = Client(urls.http("service-orders"), lambda: customer)
    body = {"items": [{"sku": sku, "quantity": 1}], "payment_method": "pm_card_visa"}

    def is_confirmed() -> None:
        # The same request each time; it is rejected until the product's event has arrived.
        order = orders.post("/api/v1/orders", body, key=sku)
        assert orders.get(f"/api/v1/orders/{order['id']}")["status"] == "confirmed"

    wait_for(is_confirmed, SECONDS, "the order is not confirmed")
