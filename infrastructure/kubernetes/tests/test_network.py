"""Network policies: exactly the needed connections are allowed, each at both ends."""

from __future__ import annotations

from typing import Any

import pytest

from infrastructure.kubernetes.tests.overlays import OVERLAYS, WORKLOADS, environment, labels_of, of_kind
from infrastructure.processes import PROCESSES

SERVICES = [line.name for line in PROCESSES if line.name.startswith("service-")]
# The label of a variable's destination.
LEADS_TO = {
    "POSTGRES_ADMINISTRATOR_URL": "postgres",
    "RABBITMQ_ADMINISTRATOR_URL": "rabbitmq",
    "DATABASE_URL": "postgres",
    "DATABASE_URLS": "postgres",
    "OUTBOX_DATABASE_URLS": "postgres",
    "MONGODB_URL": "mongodb",
    "RABBITMQ_URL": "rabbitmq",
    "STRIPE_API_BASE": "payment-provider",
    "SMTP_URL": "mail-server",
    "USERS_URL": "users",
}


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "In"
        if labels.get(one["key"]) not in one["values"]:
            return False
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def allowed(overlay: str, direction: str, here: dict[str, str], there: dict[str, str], port: int) -> bool:
    """Whether a policy for `here` allows traffic with `there`; both are labels of our pods."""
    side = {"Ingress": "from", "Egress": "to"}[direction]
    for policy in of_kind(overlay, "NetworkPolicy"):
        spec = policy["spec"]
        if not selects(spec["podSelector"], here):
            continue
        for rule in spec.get(direction.lower(), []):
            peers = rule.get(side)
            ports = {one["port"] for one in rule.get("ports", [])}
            fits = peers is None or any(
                "podSelector" in peer and "namespaceSelector" not in peer and selects(peer["podSelector"], there)
                for peer in peers
            )
            if fits and port in ports:
                return True
    return False


def talks(overlay: str, one: dict[str, str], other: dict[str, str], port: int) -> bool:
    return allowed(overlay, "Egress", one, other, port) and allowed(overlay, "Ingress", other, one, port)


def pods(overlay: str) -> dict[str, dict[str, str]]:
    return {each["metadata"]["name"]: labels_of(each) for each in of_kind(overlay, *WORKLOADS)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_traffic_is_denied_by_default(overlay: str) -> None:
    [closed] = [
        each
        for each in of_kind(overlay, "NetworkPolicy")
        if each["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ]
    assert closed["metadata"]["namespace"] == "holdfast"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_the_gateway_reaches_services_and_users_serves_keys(overlay: str) -> None:
    found = pods(overlay)
    for name in SERVICES:
        assert talks(overlay, found["gateway"], found[name], 8000), name
        assert talks(overlay, found[name], found["service-users"], 8000), name
    assert not talks(overlay, found["service-orders"], found["service-payments"], 8000)
    assert not talks(overlay, found["worker-orders"], found["service-orders"], 8000)
    assert not talks(overlay, found["gateway"], found["worker-orders"], 9000)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_the_mail_worker_reaches_the_users_service(overlay: str) -> None:
    found = pods(overlay)
    asking = {
        name
        for name, labels in found.items()
        if labels.get("role") == "worker" and talks(overlay, labels, found["service-users"], 8000)
    }
    assert asking == {"worker-mail"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_operations_reaches_every_process(overlay: str) -> None:
    found = pods(overlay)
    for name, labels in found.items():
        if labels.get("role") in {"service", "worker"}:
            port = 8000 if labels["role"] == "service" else 9000
            assert talks(overlay, found["service-operations"], labels, port), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_process_reaches_only_the_destinations_in_its_variables(overlay: str) -> None:
    for each in of_kind(overlay, "Deployment", "Job"):
        labels = labels_of(each)
        expected = {LEADS_TO[name] for name in environment(each) if name in LEADS_TO}
        given = {name for name in set(LEADS_TO.values()) if labels.get(name) == "client"}
        assert given == expected, each["metadata"]["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_servers_accept_only_their_clients(overlay: str) -> None:
    found = pods(overlay)
    for server, port in (("postgres", 5432), ("rabbitmq", 5672), ("mongodb", 27017)):
        for name, labels in found.items():
            if labels.get(server) == "server":
                continue  # the members of a replica set connect to each other
            expected = labels.get(server) == "client"
            assert talks(overlay, labels, {server: "server"}, port) is expected, (name, server)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_system_view_names_every_process_with_metrics(overlay: str) -> None:
    view = environment(
        next(each for each in of_kind(overlay, "Deployment") if each["metadata"]["name"] == "service-operations")
    )
    for name, labels in pods(overlay).items():
        if labels.get("role") in {"service", "worker"}:
            assert f'"{name}": "http://{name}:' in view["METRICS_URLS"]["value"]
