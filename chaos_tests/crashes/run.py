"""`python -m chaos_tests.crashes.run`: kill a process at every step of an order's way, on its first and a later visit.

A test build (HOLDFAST_TEST_BUILD=1) kills itself with SIGKILL at the place that HOLDFAST_CRASH_POINT names. For each
place: the process is armed, orders of every kind are placed until it dies, it starts again without the trap, every
accepted order must settle, and the audit must be green. A place that nobody died at is a failure of the test. The table
goes to docs/crash-points.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from chaos_tests.runners.system import SKU, System
from chaos_tests.runners.trees import any_died
from holdfast.client import ApiError
from infrastructure.local.ending import end_in_good_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.client import Client

HOME, PORT_BASE = ".holdfast-crashes", 8700
DOCUMENT, FIGURES = Path("docs/crash-points.md"), Path("docs/crash-points.json")
DEATH_SECONDS = 40.0
LATER = 3
WORKERS = ("worker-inventory", "worker-orders", "worker-payments")
# What must be wrong at the provider for the place to be reached at all.
UNAVAILABLE = {"kind": "error", "rate": 0.5}
CHARGED_LATE = {"kind": "hang", "rate": 1.0, "seconds": 2, "after": True, "match": {"operation": "confirm"}}
# place -> the processes that pass it, and a fault of the provider that leads there.
PLACES: dict[str, tuple[tuple[str, ...], dict[str, Any] | None]] = {
    "orders.placing": (("service-orders",), None),
    "orders.placed": (("service-orders",), None),
    "relay.fetched": (("relay-1", "relay-2"), None),
    "relay.published": (("relay-1", "relay-2"), None),
    "relay.deleted": (("relay-1", "relay-2"), None),
    "consumer.received": (WORKERS, None),
    "inbox.inserted": (WORKERS, None),
    "inbox.committing": (WORKERS, None),
    "consumer.handled": (WORKERS, None),
    "redelivery.publishing": (("worker-payments",), UNAVAILABLE),
    "redelivery.published": (("worker-payments",), UNAVAILABLE),
    "payments.creating": (("worker-payments",), None),
    "payments.created": (("worker-payments",), None),
    "payments.attached": (("worker-payments",), None),
    "payments.confirmed": (("worker-payments",), None),
    "payments.cancelled": (("worker-payments",), None),
    "payments.refund_owed": (("worker-payments",), CHARGED_LATE),
    "payments.refunded": (("worker-payments",), CHARGED_LATE),
    "archive.filing": (("worker-archive",), None),
    "archive.filed": (("worker-archive",), None),
}


@dataclass
class Row:
    place: str
    visit: int
    process: str
    died: bool
    accepted: int
    unsettled: int
    broken_promises: list[str]

    @property
    def passed(self) -> bool:
        return self.died and not self.unsettled and not self.broken_promises


def crash(system: System, place: str, visit: int, processes: tuple[str, ...], fault: dict[str, Any] | None) -> Row:
    """Arm, drive until it dies, let it come back, settle, audit."""
    customer = system.customer()
    alive = system.arm(processes, f"{place}:{visit}")
    if fault:
        system.sandbox_fault(**fault)
    placed: list[str] = []
    try:
        died = _drive_until(lambda: any_died(alive), customer, placed)
    finally:
        system.heal_sandbox()
    # What did not die is armed still, and so is the parent of what did: start them anew without the trap.
    system.override({name: {} for name in processes})
    unsettled = system.settle(placed)
    broken = sorted({finding.promise for finding in system.audit().findings})
    return Row(place, visit, ", ".join(processes), died, len(placed), unsettled, broken)


def _drive_until(is_dead: Callable[[], bool], customer: Client, placed: list[str]) -> bool:
    """Orders that are bought, declined, and cancelled while the charge is in flight."""
    deadline, number = time.monotonic() + DEATH_SECONDS, 0
    while time.monotonic() < deadline:
        number += 1
        method = "pm_card_chargeDeclined" if number % 3 == 0 else "pm_card_visa"
        with suppress(ApiError, requests.RequestException):
            body = {"items": [{"sku": SKU, "quantity": 1}], "payment_method": method}
            order_id = customer.post("/api/v1/orders", body, key=str(uuid.uuid4()))["id"]
            placed.append(order_id)
            if number % 3 == 1:
                time.sleep(0.6)
                customer.post(f"/api/v1/orders/{order_id}/cancel")
        if is_dead():
            return True
        time.sleep(0.1)
    return False


def _with_earlier(rows: list[Row]) -> list[Row]:
    """What is on file of the other places as well, in the order of the table."""
    earlier = [Row(**values) for values in json.loads(FIGURES.read_text())] if FIGURES.exists() else []
    places = {row.place for row in rows}
    order = list(PLACES)
    return sorted([*(row for row in earlier if row.place not in places), *rows], key=lambda row: order.index(row.place))


def write(rows: list[Row]) -> None:
    FIGURES.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    hit = {row.place for row in rows if row.died}
    lines = [
        "# Killed at every step of an order's way",
        "",
        "Written by `python -m chaos_tests.crashes.run`. Each row: a process was killed (SIGKILL) by a test build when",
        "it reached the named place (`common/resilience/crash_points.py`) for the given time. Then every accepted",
        "order settled, and the audit was green.",
        "",
        f"Places hit: {len(hit)} of {len(PLACES)} ({100 * len(hit) // len(PLACES)} %).",
        "",
        "| place | visit | processes | killed | orders | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        verdict = "kept" if row.passed else f"**broken**: {row.unsettled} open, {', '.join(row.broken_promises)}"
        died = "yes" if row.died else "**no**"
        lines.append(f"| `{row.place}` | {row.visit} | {row.process} | {died} | {row.accepted} | {verdict} |")
    DOCUMENT.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=PLACES, help="this place alone, or these; what is on file of others stays"
    )
    parser.add_argument("--home", default=HOME)
    parser.add_argument("--port-base", type=int, default=PORT_BASE)
    wanted = parser.parse_args()
    end_in_good_order()
    system, rows = System(wanted.home, wanted.port_base), []
    try:
        system.start()
        for place, (processes, fault) in PLACES.items():
            if not wanted.only or place in wanted.only:
                for visit in (1, LATER):
                    rows.append(crash(system, place, visit, processes, fault))
                    print(rows[-1], flush=True)
    finally:
        system.stop()
    write(_with_earlier(rows) if wanted.only else rows)
    sys.exit(0 if all(row.passed for row in rows) else 1)


if __name__ == "__main__":
    main()
