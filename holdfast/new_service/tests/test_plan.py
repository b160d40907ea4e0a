"""The planned files, computed on this checkout; nothing is written."""

from __future__ import annotations

import pytest

from holdfast.new_service.deployment import with_connections, with_copies
from holdfast.new_service.events import read_events
from holdfast.new_service.tables import Line, add_line
from holdfast.new_service.tests.checkout import ROOT
from holdfast.new_service.writing import plan
from infrastructure.local.errors import StackError

LINE = Line("table.py", r'    "inventory": .*', '    "loyalty": 2,')


def test_a_line_is_inserted_below_its_model() -> None:
    text = '    "users": 0,\n    "inventory": 1,\n    "orders": 3,\n'
    assert add_line(text, LINE) == '    "users": 0,\n    "inventory": 1,\n    "loyalty": 2,\n    "orders": 3,\n'


@pytest.mark.parametrize("text", ["", '    "inventory": 1,\n    "inventory": 2,\n'])
def test_a_missing_or_ambiguous_place_is_rejected(text: str) -> None:
    with pytest.raises(StackError, match=r"table\.py: [02] lines instead of one"):
        add_line(text, LINE)


def test_lines_of_a_section_and_whole_sections_are_copied() -> None:
    text = "all:\n  - inventory\n  - orders\n\n  # Workers\n  worker-inventory:\n    a: INVENTORY_KEY\n\n  end:\n"
    assert with_copies(text, "\n\n", "loyalty") == (
        "all:\n  - inventory\n  - loyalty\n  - orders\n\n  # Workers\n  worker-inventory:\n    a: INVENTORY_KEY\n\n"
        "  worker-loyalty:\n    a: LOYALTY_KEY\n\n  end:\n"
    )


def test_a_file_without_the_model_is_rejected() -> None:
    with pytest.raises(StackError):
        with_copies("nothing\n", "\n\n", "loyalty")


@pytest.mark.parametrize(
    ("text", "more"),
    [('max_connections: "500"', 'max_connections: "510"'), ("[max_connections=9]", "[max_connections=19]")],
)
def test_max_connections_is_raised_for_the_new_context(text: str, more: str) -> None:
    assert with_connections(text, 10) == more


@pytest.mark.parametrize(
    ("name", "resource", "event_type", "reason"),
    [
        ("orders", "points", "order.confirmed.v1", "the context 'orders' already exists"),
        ("scheduler", "points", "order.confirmed.v1", "reserved"),
        ("gateway", "points", "order.confirmed.v1", "reserved"),
        ("Loyalty", "points", "order.confirmed.v1", "not a valid service name"),
        ("import", "points", "order.confirmed.v1", "reserved"),
        ("group", "points", "order.confirmed.v1", "reserved"),
        ("loyalty", "points", "order.vanished.v1", "no service publishes 'order.vanished.v1'"),
        ("loyalty", "orders", "order.confirmed.v1", "belongs to orders"),
        ("loyalty", "inbox", "order.confirmed.v1", "reserved"),
    ],
)
def test_an_invalid_context_is_rejected(name: str, resource: str, event_type: str, reason: str) -> None:
    with pytest.raises(StackError, match=reason):
        plan(ROOT, name, resource, (event_type,))


@pytest.mark.parametrize("event_type", sorted(path.stem for path in (ROOT / "tests" / "contracts").glob("*.json")))
def test_each_published_event_can_be_listened_to(event_type: str) -> None:
    (event,) = read_events(ROOT, (event_type, event_type))
    assert event.fields
    assert event.reader.isidentifier()


def test_the_plan_has_every_process_and_each_handler() -> None:
    texts = plan(ROOT, "loyalty", "points", ("order.confirmed.v1", "stock.sold.v1"))
    assert '"order.confirmed.v1": record_order_confirmed' in texts["workers/loyalty/consumers.py"]
    assert '"stock.sold.v1": record_stock_sold' in texts["workers/loyalty/consumers.py"]
    assert '("/api/v1/points", "loyalty"),' in texts["infrastructure/gateway/routes.py"]
    for process in ("migrate-loyalty", "service-loyalty", "worker-loyalty"):
        assert f"  {process}:\n" in texts["compose.yaml"]
