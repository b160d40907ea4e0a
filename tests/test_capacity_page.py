"""docs/capacity.md counts the deliveries of a confirmed order: its table is that of the bindings."""

from __future__ import annotations

import re

from common.messaging.topology import EVERYTHING
from tests.test_tree import ROOT
from workers.topology.main import BINDINGS

PAGE = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z.]+)` \| [a-z]+ \| ([a-z, ]+) \|$", PAGE, re.MULTILINE)


def test_the_table_has_each_consumer_of_an_orders_events() -> None:
    assert len(ROWS) == 5
    counted = {name for _, named in ROWS for name in named.split(", ")}  # except contexts that were added
    for event, named in ROWS:
        consumers = {name for name, types in BINDINGS.items() if {f"{event}.v1", EVERYTHING} & set(types)}
        assert set(named.split(", ")) == consumers & counted, event


def test_the_deliveries_are_counted_correctly() -> None:
    deliveries = sum(len(named.split(", ")) for _, named in ROWS)
    assert f"5 events and {deliveries} deliveries" in PAGE
