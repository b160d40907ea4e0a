"""A structured history: each purchase with its responses, each order with its observations, each fault. Pure.

For a million operations: one pass, and only needed data is kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chaos_tests.runners.history import FAIL, INFO, INVOKE, OK, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT_OF_A_SAMPLE = ("t_mono", "deliveries", "duplicates")


@dataclass(slots=True)
class Purchase:
    """One Idempotency-Key: the request and its responses. Times are monotonic seconds."""

    key: str
    process: str
    intent: str
    basket: dict[str, int]
    payment_method: str
    began: float
    attempts: list[tuple[float, float, str, str | None]] = field(default_factory=list)  # sent, answered, type, error
    ids: dict[str, int] = field(default_factory=dict)  # order id -> its total in the response
    in_doubt: bool = False


@dataclass(slots=True)
class Sight:
    """Observations of one order: each (sent, answered, status, version, operation)."""

    seen: list[tuple[float, float, str, int, str]] = field(default_factory=list)
    missing: list[float] = field(default_factory=list)  # when an accepted order was not found


@dataclass(slots=True)
class Restocks:
    """Stock added by an operator, by SKU: certain, and possible."""

    certain: Counter[str] = field(default_factory=Counter)
    in_doubt: Counter[str] = field(default_factory=Counter)
    keys: dict[str, tuple[str, int, bool]] = field(default_factory=dict)  # key -> sku, delta, certain


@dataclass(slots=True)
class Operations:
    run: dict[str, Any] = field(default_factory=dict)
    purchases: dict[str, Purchase] = field(default_factory=dict)
    sights: dict[str, Sight] = field(default_factory=dict)
    cancelled: dict[str, float] = field(default_factory=dict)  # order id -> time of the cancellation's response
    stocks: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    restocks: Restocks = field(default_factory=Restocks)
    faults: list[Fault] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    # Operations with an uncertain outcome (except intended aborts): answered, type.
    troubles: list[tuple[float, str]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (f, type) -> how many
    torn: int = 0
    end: dict[str, Any] | None = None
    last: float = 0.0

    def grown(self, name: str) -> dict[str, int] | None:
        """The growth of the workers' counters of that name between the first and the last sample; None if unknown."""
        counted = [sample[name] for sample in self.samples if sample.get(name) is not None]
        if not counted:
            return None
        return {key: counted[-1][key] - counted[0].get(key, 0) for key in counted[-1]}

    def mono(self, wall: float) -> float:
        """Convert a wall-clock time (seconds since 1970) to the history's clock."""
        return float(wall - self.run["wall"] + self.run["t_mono"])


def gather(records: Iterable[dict[str, Any]]) -> Operations:
    """Read a history. An operation without an outcome is in doubt."""
    known = Operations()
    pending: dict[int, dict[str, Any]] = {}
    for record in records:
        kind = record["kind"]
        if kind == "op":
            if record["type"] == INVOKE:
                pending[record["i"]] = record
            else:
                _done(known, pending.pop(record["i"], None), record)
        else:
            _other(known, kind, record)
    for invoked in pending.values():
        nothing = {"t_mono": known.last, "type": INFO, "value": {}, "error": "no outcome"}
        _done(known, invoked, nothing)
    known.faults.sort(key=lambda fault: fault.began)
    return known


def _other(known: Operations, kind: str, record: dict[str, Any]) -> None:
    if kind == "sample":
        known.samples.append({name: record.get(name) for name in KEPT_OF_A_SAMPLE})
    elif kind == "fault":
        fields = Fault.__dataclass_fields__
        known.faults.append(Fault(**{name: value for name, value in record.items() if name in fields}))
    elif kind == "run":
        known.run = record
    elif kind == "end":
        known.end = record
    elif kind == "torn":
        known.torn += 1


def _done(known: Operations, invoked: dict[str, Any] | None, done: dict[str, Any]) -> None:
    if invoked is None:  # its start record is torn and counted as such
        return
    f, value, kind, answered = invoked["f"], invoked["value"], done["type"], done["t_mono"]
    known.last = max(known.last, answered)
    known.counts[f, kind] += 1
    if kind != OK and not value.get("impatient") and not _is_ordinary(done["error"]):
        known.troubles.append((answered, kind))
    if f == "place":
        _place(known, invoked, done)
    elif f == "read":
        _read(known, invoked, done)
    elif f == "cancel" and kind == OK:
        known.cancelled.setdefault(value["id"], answered)
        _see(known, invoked, done)
    elif f == "stock" and kind == OK:
        known.stocks.append((answered, done["value"]))
    elif f == "restock":
        _restock(known.restocks, value, kind)


def _is_ordinary(error: str | None) -> bool:
    """A rejection because of the purchase, not of the system."""
    return bool(error) and str(error).startswith(("404", "409", "422"))


def _place(known: Operations, invoked: dict[str, Any], done: dict[str, Any]) -> None:
    value, sent, kind = invoked["value"], invoked["t_mono"], done["type"]
    purchase = known.purchases.get(value["key"])
    if purchase is None:
        purchase = known.purchases[value["key"]] = Purchase(
            value["key"], invoked["process"], value["intent"], value["basket"], value["payment_method"], sent
        )
    purchase.attempts.append((sent, done["t_mono"], kind, done["error"]))
    if kind == OK:
        answer = done["value"]
        purchase.ids[answer["id"]] = answer["total"]
        _see(known, invoked, done)
    elif kind == INFO:
        purchase.in_doubt = True


def _read(known: Operations, invoked: dict[str, Any], done: dict[str, Any]) -> None:
    if done["type"] == OK:
        _see(known, invoked, done)
    elif done["type"] == FAIL and str(done["error"]).startswith("404"):
        known.sights.setdefault(invoked["value"]["id"], Sight()).missing.append(done["t_mono"])


def _see(known: Operations, invoked: dict[str, Any], done: dict[str, Any]) -> None:
    answer = done["value"]
    if answer.get("replayed"):  # the first response again: the state at that time, not the current one
        return
    sight = known.sights.get(answer["id"])
    if sight is None:
        sight = known.sights[answer["id"]] = Sight()
    sight.seen.append((invoked["t_mono"], done["t_mono"], answer["status"], answer["version"], invoked["f"]))


def _restock(restocks: Restocks, value: dict[str, Any], kind: str) -> None:
    sku, delta, certain = restocks.keys.get(value["key"], (value["sku"], value["delta"], False))
    certain = certain or kind == OK
    if value["key"] in restocks.keys or kind != FAIL:
        restocks.keys[value["key"]] = sku, delta, certain


def settle(restocks: Restocks) -> Restocks:
    """The totals of all keys."""
    for sku, delta, certain in restocks.keys.values():
        (restocks.certain if certain else restocks.in_doubt)[sku] += delta
    return restocks
