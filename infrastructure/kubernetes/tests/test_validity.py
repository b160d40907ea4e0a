"""Every rendered resource is valid for the cluster.

What Kubernetes itself defines is checked strictly against its published schemas, what the operators define against the
fields that their definitions have.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from infrastructure.kubernetes.tests import crds, schemas
from infrastructure.kubernetes.tests.overlays import OVERLAYS, of_kind, rendered


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_resource_is_valid(overlay: str) -> None:
    for each in rendered(overlay):
        checker = crds if crds.kind_of(each) in crds.KNOWN else schemas
        assert checker.errors(each) == [], f"{each['kind']} {each['metadata']['name']}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pod_templates_for_operators_are_valid(overlay: str) -> None:
    specs = [each["spec"]["override"]["statefulSet"]["spec"] for each in of_kind(overlay, "RabbitmqCluster")]
    specs += [each["spec"]["statefulSet"]["spec"] for each in of_kind(overlay, "MongoDBCommunity")]
    for spec in specs:
        assert schemas.errors(as_stateful_set(spec)) == []


def as_stateful_set(spec: dict[str, Any]) -> dict[str, Any]:
    required = {"serviceName": "any", "selector": {"matchLabels": {"any": "one"}}}
    metadata = {"name": "any"}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": required | spec}


def test_misspelt_fields_are_found() -> None:
    wrong = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}, "automountToken": False}
    assert schemas.errors(wrong)
    [cluster] = of_kind("production", "RabbitmqCluster")
    cluster = deepcopy(cluster)
    cluster["spec"]["replica"] = cluster["spec"].pop("replicas")
    assert any("replica" in error for error in crds.errors(cluster))
    template = cluster["spec"]["override"]["statefulSet"]["spec"]["template"]
    template["spec"]["containers"][0]["volumeMount"] = []
    assert schemas.errors(as_stateful_set({"template": template}))
