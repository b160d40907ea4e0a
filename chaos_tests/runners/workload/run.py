"""One workload, from its set-up to the last line of its history. It ends by time, by number or on request."""

from __future__ import annotations

import asyncio
import random
import signal
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from chaos_tests.runners.history import History
from chaos_tests.runners.workload.calls import Login, Recorder, Session
from chaos_tests.runners.workload.clients import Customer, Operator, Prober
from chaos_tests.runners.workload.observer import Observer
from chaos_tests.runners.workload.plan import catalogue
from chaos_tests.runners.workload.setup import list_product, order_everything, register
from chaos_tests.runners.workload.stop_condition import StopCondition

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REGISTERING = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters of a workload. `rate` is orders per second in total; None is as fast as the clients get responses.

    It ends after `seconds`, or after `orders` accepted orders. `metrics`: the addresses of processes' metrics, by name.
    """

    url: str
    operator: dict[str, str] = field(repr=False)
    history: Path
    seed: int
    clients: int = 10
    rate: float | None = None
    seconds: float = 60.0
    orders: int | None = None
    timeout_seconds: float = 5.0
    metrics: Mapping[str, str] = field(default_factory=dict)


class Pace:
    """Schedules the requests: at random intervals with an average of `rate` per second, or at once."""

    def __init__(self, seed: int, rate: float | None, stop_condition: StopCondition) -> None:
        self._chance, self._rate, self._ending = random.Random(f"{seed}/pace"), rate, stop_condition
        self._next = 0.0

    async def turn(self) -> None:
        if self._rate is None:
            return
        now = time.monotonic()
        mine = self._next = max(now, self._next) + self._chance.expovariate(self._rate)
        await self._ending.pause(mine - now)


async def run(plan: Plan) -> str:
    """Run the workload; returns why it ended. Raises `OpeningError` if it could not start."""
    history = History(plan.history)
    recorder = Recorder(history)
    deadline = time.monotonic() + plan.seconds

    def due() -> str:
        if plan.orders is not None and recorder.accepted >= plan.orders:
            return "orders"
        return "seconds" if time.monotonic() >= deadline else ""

    stop_condition = StopCondition(due)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_condition.ask, "asked")
    shop = _Shop(plan, recorder, stop_condition)
    try:
        await shop.open()
        deadline = time.monotonic() + plan.seconds
        await shop.serve()
    finally:
        history.append("end", reason=stop_condition.reason or "error", accepted=recorder.accepted)
        history.close()
    return stop_condition.reason


class _Shop:
    """All clients of the workload."""

    def __init__(self, plan: Plan, recorder: Recorder, stop_condition: StopCondition) -> None:
        self._plan, self._recorder, self._ending = plan, recorder, stop_condition
        self._run = f"R{uuid.uuid4().hex[:8].upper()}"
        self._products = catalogue(self._run)
        self._operator = Login(plan.url, plan.operator)
        self._logins: dict[str, tuple[str, Login]] = {}

    async def open(self) -> None:
        """Create customers and products, the first line of the history, and the first order."""
        names = ["opening", "probe", *(f"client-{number}" for number in range(self._plan.clients))]
        limit = asyncio.Semaphore(REGISTERING)

        async def enter(name: str) -> None:
            async with limit:
                self._logins[name] = await register(self._plan.url, f"{self._run.lower()}-{name}")

        for product in self._products:
            await list_product(self._plan.url, self._operator, product)
        await asyncio.gather(*map(enter, names))
        self._recorder.history.append(
            "run",
            run=self._run,
            seed=self._plan.seed,
            clients=self._plan.clients,
            rate=self._plan.rate,
            seconds=self._plan.seconds,
            orders=self._plan.orders,
            timeout_seconds=self._plan.timeout_seconds,
            wall=time.time(),
            customers={name: customer_id for name, (customer_id, _) in self._logins.items()},
            products=[asdict(product) for product in self._products],
        )
        await order_everything(self._session("opening"), self._products)

    async def serve(self) -> None:
        """Return when the workload is over and all clients have ended."""
        plan, stop_condition = self._plan, self._ending
        pace = Pace(plan.seed, plan.rate, stop_condition)
        names = [name for name in self._logins if name.startswith("client-")]
        customers = [Customer(self._session(name), plan.seed, self._products, stop_condition) for name in sorted(names)]
        operator = Session("operator", plan.url, self._operator, self._recorder, plan.timeout_seconds)
        observer = Observer(plan.url, self._operator, plan.metrics, self._recorder.history)
        prober = Prober(lambda: self._session("probe"), plan.seed, self._products, stop_condition)
        async with asyncio.TaskGroup() as group:
            group.create_task(observer.watch(stop_condition))
            group.create_task(Operator(operator, plan.seed, self._products, stop_condition, plan.rate).work())
            group.create_task(prober.probe(group))
            for customer in customers:
                group.create_task(customer.shop(pace.turn))
        await observer.sample()

    def _session(self, name: str) -> Session:
        plan = self._plan
        return Session(name, plan.url, self._logins[name][1], self._recorder, plan.timeout_seconds)
