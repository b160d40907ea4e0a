"""Patches as kustomize applies them: strategic merges, and the operations of RFC 6902 that we use.

Lists whose entries have a name of their own in Kubernetes are merged by it; all other lists are replaced.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "topologySpreadConstraints": "topologyKey",
}


def merge(base: Any, change: Any, field: str = "") -> Any:
    """The strategic merge of `change` into `base`; neither is changed. None removes."""
    if isinstance(base, dict) and isinstance(change, dict):
        merged = deepcopy(base)
        for key, value in change.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(base[key], value, key) if key in base else deepcopy(value)
        return merged
    if isinstance(base, list) and isinstance(change, list) and (name := MERGE_KEYS.get(field)):
        return _merged_lists(base, change, name)
    return deepcopy(change)


def _merged_lists(base: list[Any], change: list[Any], name: str) -> list[Any]:
    changes = {each[name]: each for each in change}
    kept = [merge(each, changes[each[name]]) if each[name] in changes else deepcopy(each) for each in base]
    known = {each[name] for each in base}
    return [*kept, *(deepcopy(each) for each in change if each[name] not in known)]


def apply_operations(base: Any, operations: list[dict[str, Any]]) -> Any:
    """`add` and `replace` of RFC 6902."""
    changed = deepcopy(base)
    for operation in operations:
        *way, last = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        parent = changed
        for step in way:
            parent = parent[int(step)] if isinstance(parent, list) else parent[step]
        _operate(parent, last, operation)
    return changed


def _operate(parent: Any, last: str, operation: dict[str, Any]) -> None:
    match operation["op"], parent:
        case "add", list() if last == "-":
            parent.append(operation["value"])
        case "replace", list():
            parent[int(last)] = operation["value"]
        case "add" | "replace", dict():
            if operation["op"] == "replace" and last not in parent:
                raise ValueError(f"nothing to replace at {operation['path']}")
            parent[last] = operation["value"]
        case _:
            raise ValueError(f"this small kustomize does not know {operation}")
