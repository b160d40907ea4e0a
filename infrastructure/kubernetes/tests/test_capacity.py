"""PostgreSQL has enough connections when everything is scaled out and rolled out."""

from __future__ import annotations

from typing import Any

from common.settings import HttpSettings
from infrastructure.kubernetes.tests.overlays import environment, labels_of, of_kind
from infrastructure.processes import RELATIONAL_CONTEXTS
from workers.payments.main import SWEEP_CONNECTIONS
from workers.scheduler.main import OUTBOXES, SWEEPS

# Of the operator, the superuser, and a manual session.
KEPT_FREE = 30
SCHEDULER = sum(len(sweeps) + 2 for sweeps in SWEEPS.values()) + len(set(OUTBOXES) - set(SWEEPS))
PER_REPLICA = {"relay": len(RELATIONAL_CONTEXTS), "scheduler": SCHEDULER}


def per_replica(deployment: dict[str, Any]) -> int:
    """The connections of one replica, from the number of threads in its Deployment."""
    name, variables = deployment["metadata"]["name"], environment(deployment)
    if "SERVICE_THREADS" in variables:
        return HttpSettings(service_threads=int(variables["SERVICE_THREADS"]["value"])).pool_size
    if "WORKER_THREADS" in variables:
        sweeps = SWEEP_CONNECTIONS if name == "worker-payments" else 0
        return int(variables["WORKER_THREADS"]["value"]) + sweeps
    return PER_REPLICA[name]


def most_replicas(overlay: str, deployment: dict[str, Any]) -> int:
    name = deployment["metadata"]["name"]
    for each in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject"):
        if each["spec"]["scaleTargetRef"]["name"] == name:
            spec = each["spec"]
            return int(spec.get("maxReplicas") or spec["maxReplicaCount"])
    return int(deployment["spec"].get("replicas", 1))


def connections(overlay: str) -> int:
    """The maximum number of connections: all replicas, and one more of each workload during a rollout."""
    total = len(RELATIONAL_CONTEXTS)  # the migrations
    for each in of_kind(overlay, "Deployment"):
        labels = labels_of(each)
        if labels.get("postgres") == "client":
            total += (most_replicas(overlay, each) + 1) * per_replica(each)
    return total


def test_production_has_enough_connections() -> None:
    [cluster] = of_kind("production", "Cluster")
    assert connections("production") + KEPT_FREE <= int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])


def test_a_trial_has_enough_connections() -> None:
    [postgres] = [each for each in of_kind("local", "StatefulSet") if each["metadata"]["name"] == "postgres"]
    [option] = [each for each in postgres["spec"]["template"]["spec"]["containers"][0]["args"] if "=" in each]
    assert connections("local") + KEPT_FREE <= int(option.removeprefix("max_connections="))
