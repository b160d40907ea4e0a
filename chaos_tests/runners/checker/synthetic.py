"""`python -m chaos_tests.runners.checker.synthetic`: a synthetic run of any length in which every promise holds.

Tests plant violations in it; as a command it measures the checker's time for a history of that length.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from chaos_tests.runners.checker import snapshot as snapshots
from chaos_tests.runners.checker.check import check_files
from chaos_tests.runners.checker.snapshot import Snapshot
from chaos_tests.runners.history import FAIL, INFO, INVOKE, OK, Fault
from chaos_tests.runners.workload.plan import Step, catalogue, steps
from holdfast.audit.views import INVENTORY, ORDERS, PAYMENTS, ArchivedEvent, Charge, OrderView, ProductView

WALL, START = 1_800_000_000.0, 1_000.0
SECONDS_PER_WISH = 0.05
CLIENTS = 100
FAULT = Fault("rabbitmq killed", 0.0, 0.0, target="rabbitmq", accepts=True)
ENDS = {
    "bought": ("confirmed", None, ("stock.reserved.v1", "payment.captured.v1", "order.confirmed.v1", "stock.sold.v1")),
    "declined": (
        "cancelled",
        "payment_declined",
        ("stock.reserved.v1", "payment.declined.v1", "order.cancelled.v1", "stock.released.v1"),
    ),
    "scarce": ("cancelled", "out_of_stock", ("stock.rejected.v1", "order.cancelled.v1")),
    "cancelled": ("cancelled", "customer_request", ("order.cancelled.v1",)),
}
SOURCES = {"order": ORDERS, "stock": INVENTORY, "payment": PAYMENTS}


@dataclass
class Made:
    """A run: the records of its history, and its snapshot."""

    records: list[dict[str, Any]] = field(default_factory=list)
    snapshot: Snapshot = field(default_factory=Snapshot)
    now: float = START
    numbers: Any = field(default_factory=count)

    def add(self, kind: str, **values: Any) -> None:
        self.records.append({"kind": kind, "t_mono": round(self.now, 6), **values})

    def operation(
        self, process: str, f: str, value: dict[str, Any], kind: str = OK, *, error: str | None = None, **answer: Any
    ) -> None:
        """One operation and its outcome; `answer` is the value of the latter."""
        i = next(self.numbers)
        self.add("op", i=i, process=process, type=INVOKE, f=f, value=value)
        self.now += 0.004
        self.add("op", i=i, process=process, type=kind, f=f, value=answer, error=error)


def make(purchases: int, reads: int = 3) -> Made:
    """A run with that many purchases, and a fault in the middle of it."""
    made = Made()
    products = catalogue("R0")
    names = [f"client-{number}" for number in range(min(CLIENTS, max(1, purchases // 10)))]
    customers = {name: f"customer-of-{name}" for name in names}
    made.add(
        "run",
        run="R0",
        seed=1,
        clients=len(names),
        wall=WALL,
        customers=customers,
        products=list(map(asdict, products)),
    )
    made.add("sample", outbox_rows=0, queues={}, deliveries={"done": 0}, duplicates={})
    plans = {name: steps(1, name, products) for name in names}
    chance = random.Random(1)
    sold: Counter[str] = Counter()
    prices = {product.sku: product.amount for product in products}
    broken = range(purchases // 2, purchases // 2 + max(1, purchases // 50))
    for number in range(purchases):
        name = names[number % len(names)]
        step = next(plans[name])
        total = sum(prices[sku] * quantity for sku, quantity in step.basket)
        view = _order(number, customers[name], step, total, made.now)
        made.snapshot.orders[view.id] = view
        if view.status == "confirmed":
            sold.update(dict(step.basket))
        _lived(made, name, step, view, reads + chance.randint(-1, 1), in_doubt=number in broken)
        made.now += SECONDS_PER_WISH
    _fault(made, broken)
    for product in products:
        made.snapshot.products[product.sku] = _product(product.sku, product.on_hand, sold[product.sku])
    made.add(
        "sample", outbox_rows=0, queues={}, deliveries={"done": 7 * purchases}, duplicates={"orders": purchases // 100}
    )
    made.add("end", reason="orders", accepted=purchases)
    return made


def _lived(made: Made, name: str, step: Step, view: OrderView, reads: int, *, in_doubt: bool) -> None:
    """The client's operations, from placing to the last read."""
    value = {"key": f"1-{name}-{step.number}", "attempt": 0, "intent": step.intent, "basket": dict(step.basket)}
    value |= {"payment_method": step.payment_method}
    assert view.order is not None
    if in_doubt:
        made.operation(name, "place", value, INFO, error="TimeoutError")
    total = view.order["total"]["amount"]
    made.operation(name, "place", value, id=view.id, status="pending", version=1, total=total)
    reported = {"id": view.id, "status": view.status, "version": view.order["version"]}
    if view.order["cancel_reason"] == "customer_request":
        made.operation(name, "cancel", {"id": view.id, "attempt": 0}, **reported)
    elif step.intent == "cancelled":
        made.operation(name, "cancel", {"id": view.id, "attempt": 0}, FAIL, error="409 order_not_cancellable")
    for _ in range(reads):
        made.operation(name, "read", {"id": view.id}, **reported)


def _order(number: int, customer_id: str, step: Step, total: int, now: float) -> OrderView:
    order_id = f"{int((WALL + now - START) * 1000):012x}"
    order_id = f"{order_id[:8]}-{order_id[8:]}-7000-8000-{number:012x}"
    status, reason, types = ENDS.get(step.intent, ENDS["bought"])
    at = datetime.fromtimestamp(WALL + now - START + 0.002, UTC).isoformat(timespec="microseconds")
    events, sequences = [], Counter[str]()
    for kind in ("order.placed.v1", *types):
        source = SOURCES[kind.split(".")[0]]
        sequences[source] += 1
        events.append(ArchivedEvent(f"{number}-{kind}", kind, source, order_id, sequences[source], at, {}))
    money = {"amount": total, "currency": "usd"}
    order = {
        "id": order_id, "customer_id": customer_id, "status": status, "cancel_reason": reason, "total": money,
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in step.basket],
        "payment_method": step.payment_method, "created_at": at, "version": sequences[ORDERS],
    }  # fmt: skip
    paid = {"confirmed": "captured"}.get(status, "declined" if reason == "payment_declined" else "cancelled")
    payment = {"status": paid, "version": sequences[PAYMENTS], "refunded": {"amount": 0, "currency": "usd"}}
    charge = Charge(f"pi_{number}", order_id, total if status == "confirmed" else 0, 0, "usd")
    return OrderView(order_id, order, (payment,), (charge,), tuple(events))


def _fault(made: Made, broken: range) -> None:
    began = START + broken.start * SECONDS_PER_WISH
    doubts = [r["t_mono"] for r in made.records if r["kind"] == "op" and r["type"] == INFO]
    fault = asdict(FAULT) | {"began": min(doubts, default=began) - 0.01, "ended": max(doubts, default=began) + 0.01}
    made.add("fault", **fault)


def _product(sku: str, on_hand: int, sold: int) -> ProductView:
    listed = ArchivedEvent(f"{sku}-1", "product.listed.v1", INVENTORY, sku, 1, "2027-01-15T08:00:00Z", {})
    data = {"sku": sku, "delta": on_hand, "on_hand": on_hand}
    adjusted = ArchivedEvent(f"{sku}-2", "stock.adjusted.v1", INVENTORY, sku, 2, "2027-01-15T08:00:00Z", data)
    left = on_hand - sold
    product = {"sku": sku, "on_hand": left, "reserved": 0, "available": left, "sold": sold, "version": 2}
    return ProductView(sku, product, (listed, adjusted), sold, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument(
        "--reads", type=int, default=7, help="reads per order; the default is about that of the workload"
    )
    arguments = parser.parse_args()
    made = make(arguments.operations // (arguments.reads + 1), arguments.reads)
    with tempfile.TemporaryDirectory() as directory:
        history, snapshot = Path(directory) / "history.jsonl", Path(directory) / "snapshot.jsonl"
        history.write_text("".join(json.dumps(record, separators=(",", ":")) + "\n" for record in made.records))
        snapshots.write(made.snapshot, snapshot)
        operations = sum(record.get("type") == INVOKE for record in made.records)
        del made
        started, worked = time.perf_counter(), time.process_time()
        verdict = check_files(history, snapshot)
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        sizes = f"{history.stat().st_size / 1e6:.0f} MB of history, {snapshot.stat().st_size / 1e6:.0f} MB of snapshot"
    made_of = f"{operations:,} operations on {verdict.counts['accepted']:,} orders ({sizes})"
    print(f"{made_of}: {verdict.verdict} in {seconds:.1f} s, {worked:.1f} s of them at work")


if __name__ == "__main__":
    main()
