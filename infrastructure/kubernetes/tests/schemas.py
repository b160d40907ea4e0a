"""Kubernetes' own resources, checked strictly against the schemas that the package kubernetes-validate ships.

Its own checker reads a megabyte for each resource; this one compiles each kind once.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]  # it has no types

VERSION = "1.35"  # the oldest supported version
_ROOM = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{VERSION}.0-local-strict"


def errors(resource: dict[str, Any]) -> list[str]:
    """The errors of a resource; FileNotFoundError if Kubernetes has no such kind."""
    version = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", resource["apiVersion"])
    found = _validator(f"{resource['kind'].lower()}-{version}.json").iter_errors(resource)
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in found]


@cache
def _validator(name: str) -> Any:
    return jsonschema_rs.validator_for(_read(name), retriever=lambda address: _read(address.rpartition("/")[2]))


@cache
def _read(name: str) -> Any:
    return json.loads((_ROOM / name).read_text(encoding="utf-8"))
