"""`holdfast chaos replays`: breaks a handler for a thousand orders, repairs it, and replays its dead letters.

A test build of the inventory worker raises on every `order.confirmed.v1`. When all of them are dead letters the worker
is repaired, and an operator replays them in bulk at a rate, and a sample of them a second time. Then every sale must
have happened once: stock and audit must agree. The figures are in docs/bulk-replay.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from chaos_tests.actions.evidence import wait_until
from chaos_tests.mutants.mutant import Patch, patched_build
from chaos_tests.runners.programs import Results, command
from holdfast.bench import load
from holdfast.bench.orders import SKU, Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chaos_tests.runners.system import System
    from holdfast.client import Client

QUEUE, RATE, AGAIN = "inventory.events", 200, 50
LETTERS = "/api/v1/dead-letters"
WAIT_SECONDS = 900.0
BROKEN = Patch(
    "workers.inventory.consumers",
    "    usecases.order_was_confirmed(work, delivery, _order_id(delivery))",
    '    raise RuntimeError("a bug in this release")',
)


@dataclass(frozen=True, slots=True)
class Outcome:
    orders: int
    letters: int
    sold_before: int
    sold_after: int
    again: int
    seconds: float
    still_filed: int
    broken_promises: list[str]

    @property
    def passed(self) -> bool:
        everything = (self.orders, 0, self.orders, 0)
        seen = (self.letters, self.sold_before, self.sold_after, self.still_filed)
        return seen == everything and not self.broken_promises


def replayed(system: System, count: int) -> Outcome:
    target = system.target()
    shop, operator = Shop(target), target.operator()
    shop.settle()
    _wait(lambda: _product(operator)["reserved"] == 0)
    sold = _product(operator)["sold"]
    broken = patched_build([BROKEN], system.stack.home.path / "broken-handler.json")
    with system.changed({"worker-inventory": broken | {"RETRY_ATTEMPTS": "1"}}):
        system.wait_ready()
        placed = load.run(
            target.url, lambda: shop.request(target.url), connections=4, seconds=WAIT_SECONDS, requests=count
        )
        shop.settle()
        _wait(lambda: _filed(operator) >= count)
        letters, sold_before = _filed(operator), _product(operator)["sold"] - sold
    ids = [letter["id"] for letter in operator.get(LETTERS, queue=QUEUE, limit=AGAIN)["data"]]
    started = time.monotonic()
    operator.post(f"{LETTERS}/replay", {"queue": QUEUE, "rate": RATE})
    _wait(lambda: _filed(operator) == 0 and _product(operator)["sold"] - sold >= count)
    seconds = time.monotonic() - started
    for letter_id in ids:
        operator.post(f"{LETTERS}/{letter_id}/replay")
    time.sleep(5)
    return Outcome(
        orders=placed.answered,
        letters=letters,
        sold_before=sold_before,
        sold_after=_product(operator)["sold"] - sold,
        again=len(ids),
        seconds=seconds,
        still_filed=_filed(operator),
        broken_promises=sorted({finding.promise for finding in system.audit().findings}),
    )


def _filed(operator: Client) -> int:
    counts = operator.get("/api/v1/system")["dead_letters"] or []
    return sum(each["count"] for each in counts if each["queue"] == QUEUE and each["status"] in ("filed", "replaying"))


def _product(operator: Client) -> dict[str, int]:
    found: dict[str, int] = operator.get(f"/api/v1/products/{SKU}")
    return found


def _wait(is_done: Callable[[], bool]) -> None:
    wait_until(is_done, WAIT_SECONDS, "the condition", pause_seconds=0.5)


def render(rows: Sequence[Outcome]) -> str:
    return "\n".join(map(_page, rows))


def _page(outcome: Outcome) -> str:
    return f"""# Bulk replay of dead letters

Written by `holdfast chaos replays --orders {outcome.orders}`. A test build of the inventory worker fails on every
`order.confirmed.v1`. Once it is fixed, the dead letters are replayed in bulk (at most {RATE} a second), and
{outcome.again} of them twice.

| | |
|---|--:|
| orders confirmed while the handler was broken | {outcome.orders} |
| dead letters of `{QUEUE}` | {outcome.letters} |
| sales before the replay | {outcome.sold_before} |
| sales after it | {outcome.sold_after} |
| dead letters not replayed | {outcome.still_filed} |
| seconds until the last sale | {outcome.seconds:.0f} |
| promises broken | {", ".join(outcome.broken_promises) or "none"} |
"""


RESULTS = Results("replays", "bulk-replay", Outcome, lambda _: "", render)


@command(RESULTS, port_base=8850)
@click.option("--orders", default=1_000, show_default=True, help="Number of orders for the broken handler.")
def replays(system: System, orders: int) -> Iterator[Outcome]:
    """Break a handler, repair it, and replay its dead letters in bulk: every effect happens once."""
    yield replayed(system, orders)


if __name__ == "__main__":
    replays()
