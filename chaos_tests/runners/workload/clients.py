"""The clients: customers, a probe at a steady rate, and an operator who restocks."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from chaos_tests.runners.history import FAIL, OK
from chaos_tests.runners.workload.buying import PAUSES_SECONDS, Buyer, is_passing
from chaos_tests.runners.workload.plan import DELIVERED, SCARCE, restocking_seconds, steps

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from chaos_tests.runners.workload.calls import Session
    from chaos_tests.runners.workload.plan import Product
    from chaos_tests.runners.workload.stop_condition import StopCondition

PROBE_SECONDS = 0.5


class Customer:
    """One client: its purchases come from the seed and its name."""

    def __init__(self, session: Session, seed: int, products: list[Product], stop_condition: StopCondition) -> None:
        self._buyer, self._ending = Buyer(session, f"{seed}-{session.process}", stop_condition), stop_condition
        self._steps = steps(seed, session.process, products)

    async def shop(self, turn: Callable[[], Awaitable[None]]) -> None:
        """Order whenever it is this client's turn, until it is over."""
        for step in self._steps:
            await turn()
            if self._ending.is_met():
                break
            await self._buyer.execute(step)
        await self._buyer.leave()


class Prober:
    """Places orders at a steady rate and follows each to its final state, so that recovery is measured."""

    def __init__(
        self, new_session: Callable[[], Session], seed: int, products: list[Product], stop_condition: StopCondition
    ) -> None:
        self._new_session, self._seed, self._ending = new_session, seed, stop_condition
        self._steps = (step for step in steps(seed, "probe", products) if step.intent == "bought")

    async def probe(self, group: asyncio.TaskGroup) -> None:
        while not self._ending.is_met():
            group.create_task(self._order())
            await self._ending.pause(PROBE_SECONDS)

    async def _order(self) -> None:
        buyer = Buyer(self._new_session(), f"{self._seed}-probe", self._ending)
        await buyer.execute(replace(next(self._steps), read="follow"))
        await buyer.leave()


class Operator:
    """Restocks the scarce products in small amounts, so that customers always compete for the last one."""

    def __init__(
        self,
        session: Session,
        seed: int,
        products: list[Product],
        stop_condition: StopCondition,
        rate: float | None = None,
    ) -> None:
        self._session, self._ending, self._pause_seconds = session, stop_condition, restocking_seconds(rate)
        self._chance = random.Random(f"{seed}/operator")
        self._scarce = sorted(products, key=lambda product: product.on_hand)[:SCARCE]
        self._number = 0

    async def work(self) -> None:
        while not self._ending.is_met():
            await self._ending.pause(self._pause_seconds)
            sku, delta = self._chance.choice(self._scarce).sku, self._chance.randint(*DELIVERED)
            self._number += 1
            await self._restock(sku, delta, f"restock-{sku}-{self._number}")
        self._session.close()

    async def _restock(self, sku: str, delta: int, key: str) -> None:
        path, body = f"/api/v1/products/{sku}/stock-adjustments", {"delta": delta, "reason": "a late delivery"}
        for attempt, pause in enumerate(PAUSES_SECONDS):
            value = {"sku": sku, "delta": delta, "key": key, "attempt": attempt}
            done = await self._session.run("restock", value, "POST", path, body, key=key)
            if done.type == OK or (done.type == FAIL and not is_passing(done)) or self._ending.is_met():
                return
            await self._ending.pause(pause)
