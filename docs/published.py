"""The record of what each published event looks like: `python -m docs.published` writes what may be added to it.

tests/contracts/published/ has, for each event type, the JSON Schema of its data as somebody outside may rely on it. A
change that the record does not allow is refused here and fails tests/test_published.py, also if the schema, the golden
sample and every reader of ours change together. What is incompatible is published as a new version of the type, which
gets its own record (docs/upgrades.md).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.asyncapi import document

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = Path(__file__).parents[1] / "tests" / "contracts" / "published"
Schema = dict[str, Any]

# What may only become narrower: a reader is prepared for what was there.
_AT_MOST = ("maxLength", "maximum", "maxItems", "exclusiveMaximum", "maxProperties")
_AT_LEAST = ("minLength", "minimum", "minItems", "exclusiveMinimum")
_FIXED = ("const", "format", "pattern", "multipleOf", "anyOf", "oneOf", "allOf")


def current() -> dict[str, Schema]:
    """The schema of each event's data, with everything that it refers to in its place."""
    whole = document()
    messages = whole["components"]["messages"]
    return {
        event_type: _resolved(message["payload"]["allOf"][1]["properties"]["data"], whole)
        for event_type, message in messages.items()
    }


def recorded() -> dict[str, Schema]:
    """The schemas on record."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORD.glob("*.json"))}


def differences(old: Schema, new: Schema, place: str = "data") -> Iterator[str]:
    """What breaks a reader of `old` that receives events of `new`, one sentence each."""
    types, known = _types(new), _types(old)
    if known and not (types and types <= known):
        yield f"{place}: was {' or '.join(sorted(known))}, is {' or '.join(sorted(types)) or 'anything'}"
        return
    yield from _limits(old, new, place)
    for name, inner in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{place}.{name}: is gone"
        else:
            yield from differences(inner, new["properties"][name], f"{place}.{name}")
    for name in sorted(set(old.get("required", ())) - set(new.get("required", ()))):
        yield f"{place}.{name}: was always there, and may be missing"
    if "items" in old:
        yield from differences(old["items"], new.get("items", {}), f"{place}[]")


def _limits(old: Schema, new: Schema, place: str) -> Iterator[str]:
    for name in _AT_MOST:
        if name in old and new.get(name, float("inf")) > old[name]:
            yield f"{place}: {name} was {old[name]}, is {new.get(name, 'none')}"
    for name in _AT_LEAST:
        if name in old and new.get(name, float("-inf")) < old[name]:
            yield f"{place}: {name} was {old[name]}, is {new.get(name, 'none')}"
    for name in _FIXED:
        if name in old and new.get(name) != old[name]:
            yield f"{place}: {name} was {old[name]!r}, is {new.get(name)!r}"
    if "enum" in old and not {*map(str, new.get("enum", ["anything"]))} <= {*map(str, old["enum"])}:
        yield f"{place}: has values that were not in {old['enum']}"


def _types(schema: Schema) -> set[str]:
    given = schema.get("type", [])
    return {given} if isinstance(given, str) else set(given)


def _resolved(part: Any, whole: Schema) -> Any:
    if isinstance(part, dict):
        if "$ref" in part:
            target: Any = whole
            for step in part["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            return _resolved({**target, **{name: value for name, value in part.items() if name != "$ref"}}, whole)
        # Readers ignore unknown fields, so forbidding other fields promises nothing.
        return {name: _resolved(value, whole) for name, value in part.items() if name != "additionalProperties"}
    return [_resolved(each, whole) for each in part] if isinstance(part, list) else part


def main() -> int:
    """Write new types, and compatible changes of known ones; 1 if a change is not compatible."""
    known, code = recorded(), 0
    for event_type, schema in current().items():
        found = list(differences(known.get(event_type, {}), schema))
        for sentence in found:
            sys.stderr.write(f"{event_type}: {sentence}. Publish it as a new version: docs/upgrades.md\n")
            code = 1
        if not found:
            text = json.dumps(schema, indent=2, sort_keys=True) + "\n"
            (RECORD / f"{event_type}.json").write_text(text, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
