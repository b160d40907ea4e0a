"""The check: history and snapshot in, verdict out. Pure, so it can be repeated with the two files."""

from __future__ import annotations

import gc
from collections import Counter, defaultdict
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from chaos_tests.runners.checker import orders, outages, stock
from chaos_tests.runners.checker.conditions import Thresholds, around, conditions
from chaos_tests.runners.checker.operations import gather
from chaos_tests.runners.checker.snapshot import load
from chaos_tests.runners.checker.verdict import (
    INVALID,
    MAX_FINDINGS,
    MAX_OFFENDERS,
    UNKNOWN,
    UNTRIED,
    VALID,
    Offender,
    Promise,
    State,
    Verdict,
    worst,
)
from chaos_tests.runners.history import read
from holdfast.audit.promises import PROMISES, check_order, check_product
from holdfast.audit.webhooks import check_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from chaos_tests.runners.checker.operations import Operations
    from chaos_tests.runners.checker.snapshot import Snapshot
    from holdfast.audit.views import Finding


def check_files(history: Path, snapshot: Path, thresholds: Thresholds | None = None) -> Verdict:
    """Check one run by its files. For a separate process: it disables garbage collection.

    (Millions of small live objects: collecting garbage among them costs as much as the check.)
    """
    gc.disable()
    return check(read(history), load(snapshot), thresholds)


def check(records: Iterable[dict[str, Any]], snapshot: Snapshot, thresholds: Thresholds | None = None) -> Verdict:
    """Check one run. Raises `ValueError` if the history has no beginning."""
    known = gather(records)
    if not known.run:
        raise ValueError("the history has no beginning")
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in _findings(known, snapshot):
        findings[finding.promise].append(finding)
    recoveries = outages.Recoveries(known)
    seen = around(known, recoveries)
    statuses = _statuses(snapshot)
    promises = [_promise(name, findings[name], known, snapshot) for name in PROMISES]
    conditioned = list(conditions(known, snapshot, seen, statuses, thresholds or Thresholds()))
    return Verdict(
        verdict=worst([*(promise.verdict for promise in promises), *(each.verdict for each in conditioned)]),
        promises=promises,
        conditions=conditioned,
        faults=seen,
        counts=_counts(known, statuses, findings["P2"]),
        offenders=_offenders(known, snapshot, chain.from_iterable(findings.values())),
    )


def _findings(known: Operations, snapshot: Snapshot) -> Iterator[Finding]:
    for view in snapshot.orders.values():
        yield from check_order(view)
    for product in snapshot.products.values():
        yield from check_product(product)
    yield from orders.accepted_orders_exist(known, snapshot)
    yield from orders.cancelled_is_final(known, snapshot)
    yield from orders.one_key_one_order(known, snapshot)
    yield from orders.money_as_agreed(known, snapshot)
    for endpoint in snapshot.endpoints.values():
        yield from check_endpoint(endpoint)
    yield from stock.never_oversold(known, snapshot)
    yield from outages.letters_have_reasons(snapshot)
    yield from outages.outage_is_no_error(known, snapshot)


def _promise(name: str, findings: list[Finding], known: Operations, snapshot: Snapshot) -> Promise:
    state: State = VALID
    if findings:
        state = INVALID
    elif name == "P6":
        state = VALID if any(view.deliveries for view in snapshot.endpoints.values()) else UNTRIED
    elif name == "P7" and not any(fault.outage for fault in known.faults):
        state = UNTRIED
    elif not snapshot.orders:
        state = UNKNOWN
    return Promise(name, state, _checked(name, known, snapshot), len(findings), findings[:MAX_FINDINGS])


def _checked(name: str, known: Operations, snapshot: Snapshot) -> str:
    """What was compared for a promise."""
    views = snapshot.orders.values()
    tried = sum(fault.outage for fault in known.faults)
    tellers: dict[str, Callable[[], str]] = {
        "P1": lambda: f"{len(views):,} orders, {sum(len(s.seen) for s in known.sights.values()):,} answers about them",
        "P2": lambda: (
            f"{len(known.purchases):,} keys, sent {sum(len(p.attempts) for p in known.purchases.values()):,} times"
        ),
        "P3": lambda: f"{len(snapshot.products)} products, seen {len(known.stocks):,} times under load",
        "P4": lambda: f"{sum(len(view.charges) for view in views):,} charges in the provider's ledger",
        "P5": lambda: f"{sum(len(view.events) for view in views):,} events, {len(snapshot.letters)} dead letters",
        "P6": lambda: f"{len(snapshot.endpoints)} webhook endpoints, {_deliveries(snapshot):,} deliveries",
        "P7": lambda: f"{tried} {'outage' if tried == 1 else 'outages'}" if tried else "no outage in this run",
    }
    return tellers[name]()


def _deliveries(snapshot: Snapshot) -> int:
    return sum(len(view.deliveries) for view in snapshot.endpoints.values())


def _statuses(snapshot: Snapshot) -> Counter[str]:
    """Confirmed, open, or the reason of the cancellation."""
    views = (view.order for view in snapshot.orders.values() if view.order is not None)
    return Counter(str(order["cancel_reason"] or order["status"]) for order in views)


def _counts(known: Operations, statuses: Counter[str], twice: list[Finding]) -> dict[str, Any]:
    operations: dict[str, dict[str, int]] = defaultdict(dict)
    for (f, kind), count in sorted(known.counts.items()):
        operations[f][kind] = count
    return {
        "operations": dict(operations),
        "wishes": len(known.purchases),
        "accepted": sum(bool(purchase.ids) for purchase in known.purchases.values()),
        "orders": dict(statuses),
        "deliveries": known.grown("deliveries") or {},
        "duplicates_delivered": known.grown("duplicates") or {},
        "duplicates_applied": sum(" times" in finding.text for finding in twice),
    }


def _offenders(known: Operations, snapshot: Snapshot, findings: Iterable[Finding]) -> list[Offender]:
    texts: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        texts[finding.subject].append(f"{finding.promise}: {finding.text}")
    chosen = list(texts)[:MAX_OFFENDERS]
    purchases = {
        order_id: purchase for purchase in known.purchases.values() for order_id in purchase.ids if order_id in texts
    }
    return [Offender(key, texts[key], _timeline(key, known, snapshot, purchases)) for key in chosen]


def _timeline(key: str, known: Operations, snapshot: Snapshot, purchases: dict[str, Any]) -> list[str]:
    """Operations of clients and events, by time (seconds from the start of the run)."""
    start = known.run["t_mono"]
    lines: list[tuple[float, str]] = []
    if purchase := purchases.get(key):
        reported = f"asked for by {purchase.process} with key {purchase.key} ({purchase.intent})"
        lines += [(sent, reported) for sent, *_ in purchase.attempts]
        lines += [(at, f"answer: {kind}{f' ({error})' if error else ''}") for _, at, kind, error in purchase.attempts]
    if sight := known.sights.get(key):
        lines += [(at, f"{f}: seen {status}, version {version}") for _, at, status, version, f in sight.seen]
        lines += [(at, "not found") for at in sight.missing]
    shown = snapshot.orders.get(key) or snapshot.products.get(key)
    for event in shown.events if shown else ():
        at = known.mono(datetime.fromisoformat(event.time).timestamp())
        lines.append((at, f"event {event.type} no. {event.sequence} from {event.source}"))
    return [f"{at - start:+.3f} s  {text}" for at, text in sorted(lines)[:200]]
