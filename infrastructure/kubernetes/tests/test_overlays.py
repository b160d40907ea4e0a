"""The rendered overlays, and the resources that `kubectl apply -k infrastructure/kubernetes` applies."""

import json

from infrastructure.kubernetes.tests.overlays import KUBERNETES, OVERLAYS, kustomized, of_kind, pod_of, rendered
from infrastructure.processes import process


def test_names_are_unique() -> None:
    assert OVERLAYS
    for overlay in OVERLAYS:
        names = [(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)]
        assert len(names) == len(set(names)), overlay


def test_the_directory_itself_is_the_local_overlay() -> None:
    def ordered(resources: object) -> str:
        return json.dumps(resources, sort_keys=True)

    assert ordered(kustomized(KUBERNETES)) == ordered(list(rendered("local")))


def test_nothing_is_published_before_every_queue_is_bound() -> None:
    [relay] = [each for each in of_kind("local", "Deployment") if each["metadata"]["name"] == "relay"]
    [first] = pod_of(relay)["initContainers"]
    assert tuple(first["command"]) == process("topology").command
    assert first["env"] == [
        {"name": "RABBITMQ_URL", "valueFrom": {"secretKeyRef": {"name": "topology", "key": "RABBITMQ_URL"}}}
    ]
