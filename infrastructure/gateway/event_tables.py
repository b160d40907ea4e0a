"""The events of the AsyncAPI document as rows and tables, for the page that shows them. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event's data; `path` has dots, and brackets for the items of a list."""

    path: str
    kind: str
    is_required: bool
    note: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """One event type."""

    type: str
    title: str
    sender: str
    receivers: list[str]
    fields: list[Field]
    example: str


def events(document: Mapping[str, Any]) -> list[EventPage]:
    """Every event of the document, by type."""
    return [_event(document, name, message) for name, message in sorted(document["components"]["messages"].items())]


def _event(document: Mapping[str, Any], name: str, message: Mapping[str, Any]) -> EventPage:
    mine = [each for each in document["operations"].values() if each["channel"]["$ref"] == f"#/channels/{name}"]
    by_action = {
        action: sorted(each["tags"][0]["name"] for each in mine if each["action"] == action)
        for action in ("send", "receive")
    }
    data = message["payload"]["allOf"][1]["properties"]["data"]
    [example] = message["examples"]
    return EventPage(
        type=name,
        title=message["title"],
        sender=", ".join(by_action["send"]),
        receivers=by_action["receive"],
        fields=list(_fields(document, data, "")),
        example=json.dumps(example["payload"], indent=2, ensure_ascii=False),
    )


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[Field]:
    schema = _resolved(document, schema)
    required = schema.get("required", ())
    for name, given in schema.get("properties", {}).items():
        inner = _resolved(document, given)
        yield Field(f"{path}{name}", _kind(document, inner), name in required, _note(inner))
        if "items" in inner:
            yield from _fields(document, inner["items"], f"{path}{name}[].")
        else:
            yield from _fields(document, inner, f"{path}{name}.")


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return {**found, **schema}


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    given = schema.get("type", "any")
    kind = given if isinstance(given, str) else " or ".join(given)
    if "items" in schema:
        return f"array of {_kind(document, _resolved(document, schema['items']))}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _note(schema: Mapping[str, Any]) -> str:
    values = ", ".join(map(str, schema.get("enum", ())))
    return "; ".join(filter(None, [schema.get("description", ""), values and f"one of {values}"]))
