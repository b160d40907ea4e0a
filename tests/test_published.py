"""No published event schema changes in an incompatible way: each is compared with its recorded schema."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from docs import published
from docs.published import current, differences, recorded

CURRENT, RECORDED = current(), recorded()
PLACED = RECORDED["order.placed.v1"]


def test_every_published_event_has_a_recorded_schema() -> None:
    assert set(CURRENT) - set(RECORDED) == set(), "run: python -m docs.published"


@pytest.mark.parametrize("event_type", sorted(RECORDED))
def test_an_event_is_compatible_with_its_record(event_type: str) -> None:
    assert event_type in CURRENT, "an event type that was published stays: docs/upgrades.md says how it ends"
    assert list(differences(RECORDED[event_type], CURRENT[event_type])) == []
    assert CURRENT[event_type] == RECORDED[event_type], "a compatible change: python -m docs.published records it"


def changed(path: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    """`order.placed.v1` with one part changed; None removes an entry."""
    schema = deepcopy(PLACED)
    part: Any = schema
    for step in path:
        part = part[step]
    for name, value in changes.items():
        if value is None:
            part.pop(name)
        else:
            part[name] = value
    return schema


ITEM = ("properties", "items", "items")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (changed(("properties",), total=None), "data.total: is gone"),
        (changed((), required=["order_id"]), "was always there"),
        (changed(("properties", "customer_id"), type="integer"), "data.customer_id: was string, is integer"),
        (changed(("properties", "customer_id"), type=["string", "null"]), "was string, is null or string"),
        (changed(("properties",), items={"type": "object"}), "data.items: was array, is object"),
        (changed((*ITEM, "properties"), sku=None), "data.items[].sku: is gone"),
        (changed((*ITEM, "properties", "quantity"), type="number"), "data.items[].quantity: was integer"),
        (changed((*ITEM, "properties", "quantity"), minimum=-5), "minimum was"),
        (changed(ITEM, required=[]), "data.items[].quantity: was always there"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_incompatible_change_is_detected(schema: dict[str, Any], message: str) -> None:
    found = list(differences(PLACED, schema))
    assert any(message in sentence for sentence in found), found


def test_a_new_field_is_compatible() -> None:
    schema = deepcopy(PLACED)
    schema["properties"]["channel"] = {"type": "string"}
    schema["required"] = [*schema["required"], "channel"]
    assert list(differences(PLACED, schema)) == []


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, False),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, True),
        ({"enum": ["a"]}, {}, True),
        ({"maxLength": 5}, {"maxLength": 4}, False),
        ({"maxLength": 5}, {}, True),
        ({}, {"maxLength": 5}, False),
        ({"format": "uuid"}, {}, True),
        ({"const": 1}, {"const": 2}, True),
    ],
)
def test_only_narrower_values_are_compatible(old: dict[str, Any], new: dict[str, Any], breaks: bool) -> None:
    assert bool(list(differences(old, new))) is breaks


def test_the_record_is_not_overwritten_by_an_incompatible_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(published, "RECORD", tmp_path)
    assert published.main() == 0
    before = (tmp_path / "order.placed.v1.json").read_bytes()
    incompatible = {"order.placed.v1": changed(("properties",), total=None)}
    monkeypatch.setattr(published, "current", lambda: incompatible)
    assert published.main() == 1
    assert (tmp_path / "order.placed.v1.json").read_bytes() == before
    assert "docs/upgrades.md" in capsys.readouterr().err
