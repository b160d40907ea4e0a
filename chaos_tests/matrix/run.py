"""`holdfast chaos matrix`: breaks each dependency in each way under load, and records the effects.

For each fault: orders are placed continuously; the fault is injected and removed some seconds later; every accepted
order must settle, and the audit must be green. The table is docs/failure-matrix.md, with the figures as JSON. Times
depend on this machine; the verdicts do not.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import click
import requests

from chaos_tests.actions.evidence import wait_until
from chaos_tests.matrix.faults import FAULTS
from chaos_tests.matrix.report import FAULT_SECONDS, INTERVAL_SECONDS, Row, render
from chaos_tests.matrix.server_recovery import returned_after
from chaos_tests.matrix.worker_recovery import Workers
from chaos_tests.runners.programs import Results, command
from chaos_tests.runners.system import SKU, System
from holdfast.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_tests.matrix.faults import Fault
    from holdfast.client import Client

SETTLE_SECONDS = 120.0
WARM_SECONDS = 2.0
BODY = {"items": [{"sku": SKU, "quantity": 1}], "payment_method": "pm_card_visa"}


@dataclass(frozen=True, slots=True)
class Answer:
    at: float
    seconds: float
    outcome: str
    order_id: str | None


class Shopper:
    """Places orders at an interval, from several threads, and records every response."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._end = threading.Event()
        self._executor = ThreadPoolExecutor(16)
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._walk, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._executor.shutdown(wait=True)

    def _walk(self) -> None:
        while not self._end.wait(INTERVAL_SECONDS):
            self._executor.submit(self._place)

    def _place(self) -> None:
        started, order_id = time.monotonic(), None
        try:
            order_id = self._client.post("/api/v1/orders", BODY, key=str(uuid.uuid4()))["id"]
            outcome = "202"
        except ApiError as error:
            outcome = str(error.status)
        except requests.RequestException:
            outcome = "no answer"
        ended = time.monotonic()
        self.answers.append(Answer(ended, ended - started, outcome, order_id))


def observe(system: System, fault: Fault, seconds: float) -> Row:
    """Inject the fault for `seconds` under load, and observe."""
    row = Row(fault.dependency, fault.name)
    client, operator = system.customer(), system.target().operator()
    _confirm(client)
    workers = Workers(system.stack)
    with Shopper(client) as shopper:
        busy = workers.busy(WARM_SECONDS)
        began = time.monotonic()
        fault.begin(system)
        time.sleep(seconds)
        row.readiness = _readiness(system)
        fault.restore(system)
        restored_at = time.monotonic()
        with ThreadPoolExecutor(2) as executor:
            working = executor.submit(workers.working_after, busy, restored_at)
            returned = executor.submit(returned_after, system.stack, fault.dependency, restored_at)
            row.confirmed_after_seconds = _first_confirmed(operator, shopper, restored_at)
        row.returned_after_seconds, row.working_after_seconds = returned.result(), working.result()
        row.silent_workers = sorted(busy.difference(row.working_after_seconds))
        time.sleep(1)
    during = [answer for answer in shopper.answers if began <= answer.at <= restored_at]
    row.during = dict(Counter(answer.outcome for answer in during))
    row.slowest_seconds = round(max((answer.seconds for answer in shopper.answers), default=0), 2)
    row.accepted_after_seconds = next(
        (
            round(answer.at - restored_at, 2)
            for answer in shopper.answers
            if answer.at > restored_at and answer.order_id
        ),
        None,
    )
    accepted = [answer.order_id for answer in shopper.answers if answer.order_id]
    row.accepted, row.unsettled = len(accepted), system.settle(accepted)
    verdict = system.audit()
    row.broken_promises = sorted({finding.promise for finding in verdict.findings})
    row.dead_letters = verdict.reading.dead_letters
    return row


def _confirm(client: Client) -> None:
    """The steady state: an order is accepted and confirmed."""
    order_id = ""

    def is_confirmed() -> bool:
        nonlocal order_id
        order_id = order_id or client.post("/api/v1/orders", BODY, key=str(uuid.uuid4()))["id"]
        return bool(client.get(f"/api/v1/orders/{order_id}")["status"] == "confirmed")

    wait_until(is_confirmed, SETTLE_SECONDS, "an order is confirmed before the fault begins")


def _first_confirmed(operator: Client, shopper: Shopper, restored_at: float) -> float | None:
    """Seconds from the restoration until an order placed after it is confirmed."""
    deadline = restored_at + SETTLE_SECONDS
    while time.monotonic() < deadline:
        fresh = [answer.order_id for answer in list(shopper.answers) if answer.at > restored_at and answer.order_id]
        for order_id in fresh[:3]:
            try:
                if operator.get(f"/api/v1/orders/{order_id}")["status"] == "confirmed":
                    return round(time.monotonic() - restored_at, 2)
            except (ApiError, requests.RequestException):
                break
        time.sleep(0.05)
    return None


def _readiness(system: System) -> int:
    try:
        return requests.get(f"{system.stack.urls.http('gateway')}/readyz", timeout=5).status_code
    except requests.RequestException:
        return 0


def _observed(system: System, fault: Fault, seconds: float) -> Row:
    try:
        return observe(system, fault, seconds)
    finally:
        for restore in (fault.restore, System.restore_proxies, System.restore_sandbox):
            _try(restore, system)
        system.wait_ready()


def _try(restore: Any, system: System) -> None:
    try:
        restore(system)
    except Exception as error:  # noqa: BLE001 - restore the rest as well
        print(f"healing: {error!r}", file=sys.stderr)


RESULTS = Results("matrix", "failure-matrix", Row, lambda row: (row.dependency, row.fault), render)


@command(RESULTS, port_base=8600)
@click.option("--only", help="A dependency, or dependency:fault; the other rows are kept.")
def matrix(system: System, only: str | None) -> Iterator[Row]:
    """Break each dependency in each way under load, and check responses and promises."""
    for fault in FAULTS:
        if not only or only in (fault.dependency, f"{fault.dependency}:{fault.name}"):
            yield _observed(system, fault, FAULT_SECONDS)


if __name__ == "__main__":
    matrix()
