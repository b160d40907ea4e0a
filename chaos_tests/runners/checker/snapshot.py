"""The system after a run, as one file of JSON lines: the data of the API, the provider's ledger and the archive.

It contains only the data of the run: its customers' orders, its products, and events and charges of unknown orders.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from chaos_tests.runners.history import read
from holdfast.audit.views import ArchivedEvent, Charge, OrderView, ProductView
from holdfast.audit.webhooks import EndpointView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# The data of an order's own events is not needed: the order has it.
DATA_OF = frozenset({"stock.adjusted.v1", "attempt.failed.v1", "payment.refund_recorded.v1"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`drained` is False if messages or orders were still in flight at the time-out; `waiting` says which.

    `endpoints` are the webhook endpoints for P6, with the run's events that have no delivery there. `letters` are all
    dead letters stored since the run began.
    """

    drained: bool = True
    drain_seconds: float = 0.0
    waiting: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    letters: list[dict[str, Any]] = field(default_factory=list)
    orders: dict[str, OrderView] = field(default_factory=dict)
    products: dict[str, ProductView] = field(default_factory=dict)
    endpoints: dict[str, EndpointView] = field(default_factory=dict)


def write(snapshot: Snapshot, path: Path) -> None:
    with path.open("w") as file:
        for record in _records(snapshot):
            file.write(json.dumps(record, separators=(",", ":")) + "\n")


def load(path: Path) -> Snapshot:
    """Raises `ValueError` if the snapshot is incomplete."""
    snapshot: Snapshot | None = None
    whole = False
    for record in read(path):
        kind = record.pop("kind")
        if kind == "snapshot":
            snapshot = Snapshot(**record)
        elif snapshot and kind == "order":
            snapshot.orders[record["id"]] = _order(record)
        elif snapshot and kind == "endpoint":
            view = EndpointView(**record | {"missing": _events(record["missing"])})
            snapshot.endpoints[view.id] = view
        elif snapshot and kind == "product":
            snapshot.products[record["sku"]] = ProductView(**record | {"events": _events(record["events"])})
        whole = kind == "end"
    if snapshot is None or not whole:
        message = f"{path} is not a complete snapshot"
        raise ValueError(message)
    return snapshot


def _records(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    names = ("drained", "drain_seconds", "waiting", "versions", "letters")
    yield {"kind": "snapshot", **{name: getattr(snapshot, name) for name in names}}
    for view in snapshot.orders.values():
        yield {
            "kind": "order",
            "id": view.id,
            "order": view.order,
            "payments": view.payments,
            "charges": [[charge.id, charge.captured, charge.refunded, charge.currency] for charge in view.charges],
            "events": _lists(view.events, with_data=view.order is None),
        }
    for product in snapshot.products.values():
        yield {"kind": "product", **asdict(product), "events": _lists(product.events)}
    for endpoint in snapshot.endpoints.values():
        yield {"kind": "endpoint", **asdict(endpoint), "missing": _lists(endpoint.missing)}
    yield {"kind": "end"}


def _lists(events: Iterable[ArchivedEvent], *, with_data: bool = False) -> list[list[Any]]:
    def data(event: ArchivedEvent) -> dict[str, Any]:
        return event.data if with_data or event.type in DATA_OF else {}

    return [[e.id, e.type, e.source, e.subject, e.sequence, e.time, data(e)] for e in events]


def _order(record: dict[str, Any]) -> OrderView:
    key = record["id"]
    charges = tuple(Charge(name, key, *rest) for name, *rest in record["charges"])
    return OrderView(key, record["order"], tuple(record["payments"]), charges, _events(record["events"]))


def _events(lists: Iterable[list[Any]]) -> tuple[ArchivedEvent, ...]:
    return tuple(ArchivedEvent(*each) for each in lists)
