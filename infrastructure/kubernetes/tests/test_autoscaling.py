"""What each workload scales by, and that every process is scraped."""

from __future__ import annotations

import pytest

from common.messaging import topology
from infrastructure.kubernetes.tests.overlays import OVERLAYS, labels_of, of_kind
from infrastructure.processes import PROCESSES

QUEUES = {
    line.name: topology.DEAD_LETTERS if line.context == "operations" else topology.events_queue(line.context)
    for line in PROCESSES
    if line.name.startswith("worker-")
}
SERVICES = {line.name for line in PROCESSES if line.name.startswith("service-")}
IN_A_CLUSTER = [overlay for overlay in OVERLAYS if overlay != "local"]


@pytest.mark.parametrize("overlay", IN_A_CLUSTER)
def test_a_worker_scales_by_its_own_queue(overlay: str) -> None:
    found = {}
    for each in of_kind(overlay, "ScaledObject"):
        [trigger] = each["spec"]["triggers"]
        found[each["spec"]["scaleTargetRef"]["name"]] = trigger["metadata"]["queueName"]
        assert each["spec"]["minReplicaCount"] >= 1, "with none, nobody is subscribed"
    assert found == QUEUES


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_service_scales_by_cpu(overlay: str) -> None:
    assert {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(overlay, "HorizontalPodAutoscaler")} == SERVICES


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_scaled_workload_sets_no_replicas(overlay: str) -> None:
    for each in of_kind(overlay, "Deployment"):
        if each["metadata"]["name"] in {*QUEUES, *SERVICES}:
            assert "replicas" not in each["spec"], "every rollout would set it back"


@pytest.mark.parametrize("overlay", IN_A_CLUSTER)
def test_every_process_is_scraped(overlay: str) -> None:
    ports = {one["port"] for each in of_kind(overlay, "ServiceMonitor") for one in each["spec"]["endpoints"]}
    scraped = {
        each["metadata"]["name"]
        for each in of_kind(overlay, "Service")
        if each["metadata"]["labels"].get("metrics") == "scraped"
        and {one["name"] for one in each["spec"]["ports"]} & ports
    }
    ours = [each for each in of_kind(overlay, "Deployment") if labels_of(each).get("role") != "gateway"]
    assert scraped == {each["metadata"]["name"] for each in ours}
