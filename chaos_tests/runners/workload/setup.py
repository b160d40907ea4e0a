"""The set-up: customers and products of this run, and an accepted order for each product."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from chaos_tests.runners.history import OK
from chaos_tests.runners.workload.buying import ORDERS
from chaos_tests.runners.workload.calls import TROUBLE, Login, Session
from chaos_tests.runners.workload.wire import Connection, NotSentError

if TYPE_CHECKING:
    from chaos_tests.runners.workload.plan import Product

OPENING_SECONDS, TRY_SECONDS, PAUSE_SECONDS = 60.0, 10.0, 0.2


class OpeningError(Exception):
    """The run could not start."""


async def register(url: str, name: str) -> tuple[str, Login]:
    """A new customer: its id, and its login."""
    body = {"username": name, "email": f"{name}@example.com"}
    user = await _insist(url, "POST", "/api/v1/users", body, {})
    return str(user["id"]), Login(url, {"api_key": str(user["api_key"])})


async def list_product(url: str, operator: Login, product: Product) -> None:
    price = {"amount": product.amount, "currency": "usd"}
    body = {"sku": product.sku, "name": product.name, "price": price, "on_hand": product.on_hand}
    await _insist(url, "POST", "/api/v1/products", body, {"Idempotency-Key": f"list-{product.sku}"}, login=operator)


async def order_everything(session: Session, products: list[Product]) -> None:
    """Order one piece of each product. A product can be ordered a moment after it is listed: retry until then."""
    basket = {product.sku: 1 for product in products}
    body = {"items": [{"sku": sku, "quantity": 1} for sku in basket], "payment_method": "pm_card_visa"}
    deadline, number = time.monotonic() + OPENING_SECONDS, 0
    while time.monotonic() < deadline:
        number += 1
        value = {"key": f"opening-{number}", "attempt": 0, "intent": "opening", "basket": basket}
        value |= {"payment_method": "pm_card_visa"}
        done = await session.run("place", value, "POST", ORDERS, body, key=str(value["key"]))
        if done.type == OK:
            return
        await asyncio.sleep(PAUSE_SECONDS)
    message = f"no order was accepted within {OPENING_SECONDS:.0f} s: {done.error}"
    raise OpeningError(message)


async def _insist(
    url: str, method: str, path: str, body: dict[str, Any], headers: dict[str, str], *, login: Login | None = None
) -> dict[str, Any]:
    """Retry until success, also for a token. Raises `OpeningError` after a time-out."""
    deadline, trouble = time.monotonic() + OPENING_SECONDS, ""
    while time.monotonic() < deadline:
        connection = Connection(url)
        try:
            async with asyncio.timeout(TRY_SECONDS):
                signed = {"Authorization": f"Bearer {await login.token(TRY_SECONDS)}"} if login else {}
                reply = await connection.request(method, path, body, headers | signed)
            if reply.status < 300:
                return reply.document()
            trouble = f"{reply.status} {reply.body[:200]!r}"
            if 400 <= reply.status < 500 and reply.status != 429:
                break
        except (*TROUBLE, NotSentError) as error:
            trouble = repr(error)
        finally:
            connection.close()
        await asyncio.sleep(PAUSE_SECONDS)
    message = f"{method} {path}: {trouble}"
    raise OpeningError(message)
