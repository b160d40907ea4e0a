"""The overlays, rendered once for all tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from infrastructure.kubernetes.tests.rendering import Resource, render

ROOM = Path(__file__).parents[1]
OVERLAYS = sorted(path.name for path in (ROOM / "overlays").iterdir() if (path / "kustomization.yaml").is_file())
WORKLOADS = {"Deployment", "StatefulSet", "Job"}


@cache
def rendered(overlay: str) -> tuple[Resource, ...]:
    return tuple(render(ROOM / "overlays" / overlay))


def of_kind(overlay: str, *kinds: str) -> list[Resource]:
    return [each for each in rendered(overlay) if each["kind"] in kinds]


def pod_of(workload: Resource) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def labels_of(workload: Resource) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def main_container(workload: Resource) -> dict[str, Any]:
    """The container that is the process; helpers beside it have other names."""
    return next(each for each in pod_of(workload)["containers"] if each["name"] == "main")


def environment(workload: Resource) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in main_container(workload).get("env", [])}
