"""The overlays and the process table: the same processes, commands, variables and ports."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from infrastructure.kubernetes.tests.overlays import OVERLAYS, environment, main_container, of_kind, pod_of
from infrastructure.processes import PROCESSES, Process
from tests.test_tree_settings import read_by

# Only in a trial: the provider's sandbox, the mail catcher, and accounts for a demonstration.
OPTIONAL = {"sandbox", "mail-catcher", "seed"}
WITH_TRIALS = {"local"}
OURS = [line for line in PROCESSES if line.command]
CASES = [
    (overlay, line) for overlay in OVERLAYS for line in OURS if overlay in WITH_TRIALS or line.name not in OPTIONAL
]
# A native process listens on the loopback address; a pod has its own address.
OPTIONAL_KEYS = {"KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "RATE_LIMIT_STORAGE_URL"}
OWN_ADDRESS = {"SERVICE_HOST", "METRICS_HOST"}
PORT_VARIABLES = {"SERVICE_PORT", "METRICS_PORT", "SMTP_PORT"}


def workloads(overlay: str, line: Process) -> list[dict[str, Any]]:
    ours = of_kind(overlay, "Deployment", "Job", "StatefulSet")
    return [each for each in ours if tuple(main_container(each).get("command", ())) == line.command]


def workload(overlay: str, line: Process) -> dict[str, Any]:
    found = workloads(overlay, line)
    assert len(found) == 1, f"{line.name}: {len(found)} workloads run its command"
    return found[0]


@pytest.mark.parametrize(("overlay", "line"), CASES, ids=lambda each: getattr(each, "name", each))
def test_each_process_has_one_workload(overlay: str, line: Process) -> None:
    found = workload(overlay, line)
    assert found["kind"] == ("Job" if line.is_job else "Deployment")
    # The processes `relay-1` and `relay-2` are two replicas of `relay` in a cluster.
    instances = Counter(each.command for each in OURS)[line.command]
    name = line.name if instances == 1 else line.name.rpartition("-")[0]
    assert found["metadata"]["name"] == name
    assert instances == 1 or found["spec"]["replicas"] >= instances


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_workload_is_in_the_table(overlay: str) -> None:
    commands = {line.command for line in OURS}
    for each in of_kind(overlay, "Deployment", "Job"):
        if each["metadata"]["name"] not in {"gateway", "accounts-postgres", "accounts-rabbitmq"}:
            assert tuple(main_container(each)["command"]) in commands, each["metadata"]["name"]


@pytest.mark.parametrize(("overlay", "line"), CASES, ids=lambda each: getattr(each, "name", each))
def test_a_process_gets_only_the_variables_of_the_table(overlay: str, line: Process) -> None:
    found = workload(overlay, line)
    assert "envFrom" not in main_container(found), "then nobody sees what it gets"
    given = set(environment(found))
    known, needed = read_by(line)
    assert set(line.environment) - given == set(), "the table says it gets these"
    assert given - known == set(), "it reads none of these"
    assert needed - given == set(), "it cannot start without these"
    assert given - set(line.environment) <= OWN_ADDRESS, "the table does not have these"


@pytest.mark.parametrize(("overlay", "line"), CASES, ids=lambda each: getattr(each, "name", each))
def test_a_process_listens_on_its_probed_port(overlay: str, line: Process) -> None:
    found = workload(overlay, line)
    container, variables = main_container(found), environment(found)
    ports = {int(variables[name]["value"]) for name in PORT_VARIABLES & set(variables)}
    assert {each["containerPort"] for each in container.get("ports", [])} == ports
    if line.probe:
        assert container["readinessProbe"]["httpGet"]["path"] == line.probe
    if not ports:
        return
    name = found["metadata"]["name"]
    services = [each for each in of_kind(overlay, "Service") if each["metadata"]["name"] == name]
    assert [port["port"] for port in services[0]["spec"]["ports"]] == sorted(ports)
    assert services[0]["spec"]["selector"].items() <= found["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_gateway_gets_its_configuration_from_the_image(overlay: str) -> None:
    gateway = next(each for each in of_kind(overlay, "Deployment") if each["metadata"]["name"] == "gateway")
    writer = pod_of(gateway)["initContainers"][0]
    assert writer["command"][:3] == ["python", "-m", "infrastructure.gateway"]
    [service] = [each for each in of_kind(overlay, "Service") if each["metadata"]["name"] == "gateway"]
    assert service["spec"]["ports"][0]["targetPort"] == "http"


@pytest.mark.parametrize(("overlay", "line"), CASES, ids=lambda each: getattr(each, "name", each))
def test_a_secret_is_named_as_its_process_and_a_key_as_its_variable(overlay: str, line: Process) -> None:
    found = workload(overlay, line)
    for name, variable in environment(found).items():
        if reference := variable.get("valueFrom"):
            optional = {"optional": True} if name in OPTIONAL_KEYS else {}
            assert reference == {"secretKeyRef": {"name": found["metadata"]["name"], "key": name, **optional}}
