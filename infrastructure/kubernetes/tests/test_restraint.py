"""Security of every pod: the restricted profile, resource limits, no secrets in manifests."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from infrastructure.kubernetes.tests.overlays import OVERLAYS, WORKLOADS, labels_of, of_kind, pod_of, rendered

# In a URL, `user:password@`.
INLINE_PASSWORD = re.compile(r"://[^/\s:@]+:[^/\s@]+@")


def pods(overlay: str) -> list[tuple[str, dict[str, Any]]]:
    return [(each["metadata"]["name"], pod_of(each)) for each in of_kind(overlay, *WORKLOADS)]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_comply_with_the_restricted_profile(overlay: str) -> None:
    for name, pod in pods(overlay):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert {"cpu", "memory"} <= set(container["resources"]["limits"]), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_reference_secrets_and_contain_none(overlay: str) -> None:
    assert not of_kind(overlay, "Secret")
    assert not INLINE_PASSWORD.search(yaml.safe_dump_all(rendered(overlay)))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_are_pinned(overlay: str) -> None:
    for name, pod in pods(overlay):
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert re.search(r"(:[\w.-]+|@sha256:[0-9a-f]{64})$", container["image"]), name
            assert not container["image"].endswith(":latest"), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_resource_belongs_to_a_step_of_the_rollout(overlay: str) -> None:
    for each in rendered(overlay):
        assert each["metadata"]["labels"]["tier"] in {"data", "job", "app"}, each["metadata"]["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_deployments_tolerate_the_loss_of_a_node(overlay: str) -> None:
    budgets = [each["spec"]["selector"]["matchLabels"] for each in of_kind(overlay, "PodDisruptionBudget")]
    for each in of_kind(overlay, "Deployment"):
        labels = labels_of(each)
        if "role" not in labels:
            continue  # the sandbox
        name = each["metadata"]["name"]
        assert any(budget.items() <= labels.items() for budget in budgets), name
        spread = pod_of(each)["topologySpreadConstraints"]
        assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}, name
        assert all(one["labelSelector"]["matchLabels"].items() <= labels.items() for one in spread), name
