"""docs/asyncapi.yaml is current, complete, and matches the golden samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from docs.asyncapi import SERVED, consumers_by_event_type, contracts, document

WRITTEN = yaml.load((Path(__file__).parents[1] / "docs" / "asyncapi.yaml").read_text(), Loader=yaml.CSafeLoader)
TYPES = [contract.type for contract in contracts()]


def payload(event_type: str) -> dict[str, Any]:
    """The schema of a message, as one JSON Schema document."""
    message = WRITTEN["components"]["messages"][event_type]
    return {"components": WRITTEN["components"], **message["payload"]}


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in references(value)]
    return [found for value in part for found in references(value)] if isinstance(part, list) else []


def test_the_document_is_current() -> None:
    assert document() == WRITTEN, "run: python -m docs.asyncapi"
    assert document() == json.loads(SERVED.read_text(encoding="utf-8")), "run: python -m docs.asyncapi"


def test_every_reference_resolves() -> None:
    found = references(WRITTEN)
    assert found
    for reference in found:
        part: Any = WRITTEN
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


def test_every_event_has_a_channel_a_publisher_and_its_consumers() -> None:
    operations = WRITTEN["operations"].values()
    for event_type in TYPES:
        mine = [each for each in operations if each["channel"]["$ref"] == f"#/channels/{event_type}"]
        receivers = {each["tags"][0]["name"] for each in mine if each["action"] == "receive"}
        assert len([each for each in mine if each["action"] == "send"]) == 1
        assert receivers == {*consumers_by_event_type().get(event_type, []), *consumers_by_event_type()["#"]}


@pytest.mark.parametrize("event_type", TYPES)
def test_a_sample_matches_its_schema_and_a_malformed_one_does_not(event_type: str) -> None:
    validator = jsonschema_rs.validator_for(payload(event_type))
    [example] = WRITTEN["components"]["messages"][event_type]["examples"]
    event = example["payload"]
    validator.validate(event)
    changes: list[dict[str, Any]] = [{"type": "other.thing.v1"}, {"sequence": 0}, {"data": {}}, {"specversion": "0.3"}]
    for broken in changes:
        assert not validator.is_valid(event | broken)
