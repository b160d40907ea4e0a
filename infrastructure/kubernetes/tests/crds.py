"""Resources of operators, checked against the field lists in crds.yaml.

Not checked: an operator's rules beyond the names and types of fields, and unused fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

_FIELDS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("crds.yaml").read_text(encoding="utf-8"))
KNOWN = frozenset(_FIELDS)


def kind_of(resource: dict[str, Any]) -> str:
    return f"{resource['apiVersion']}/{resource['kind']}"


def errors(resource: dict[str, Any]) -> list[str]:
    """The errors in the `spec` of an operator's resource; LookupError if its kind is not in the list."""
    schema = _schema(_FIELDS[kind_of(resource)])
    found = jsonschema_rs.validator_for(schema).iter_errors(resource.get("spec"))
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in found]


def _schema(shape: Any) -> dict[str, Any]:
    match shape:
        case True:
            return {}
        case str():
            return {"type": shape}
        case [inner]:
            return {"type": "array", "items": _schema(inner)}
    return {
        "type": "object",
        "properties": {name.rstrip("!"): _schema(inner) for name, inner in shape.items()},
        "required": [name[:-1] for name in shape if name.endswith("!")],
        "additionalProperties": False,
    }
