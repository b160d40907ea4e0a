"""compose.yaml against the process table, the settings and the privileges: they cannot drift apart."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from infrastructure.database_roles import ALL_ROLES, role_of_process
from infrastructure.docker.tests.composed import FILE, ROOT, compose, named_in_files, variables
from infrastructure.document_roles import DOCUMENT_ACCOUNTS, database_of
from infrastructure.gateway.routes import SERVICES as ROUTED
from infrastructure.privileges import BROKER_ACCOUNTS, broker_account
from infrastructure.processes import PROCESSES, RELATIONAL_CONTEXTS, Process

VALUES = variables()
FILLED = compose(VALUES)
SERVICES: dict[str, dict[str, Any]] = FILLED["services"]
OURS = [line for line in PROCESSES if line.command]
# Only on one machine, or replaced by a container: there the broker starts epmd itself.
NOT_IN_COMPOSE = {"epmd"}
# Only in containers: jobs that `holdfast up` does itself, and monitoring.
NOT_IN_TABLE = {
    "kafka",
    *("accounts-postgres", "accounts-rabbitmq", "accounts-mongodb", "gateway-configuration"),
    *("prometheus", "grafana", "otel-collector", "jaeger"),
}
# In its own network a process listens on all addresses.
ADDRESSES = {"SERVICE_HOST", "METRICS_HOST"}
HTTP_PORT, METRICS_PORT = "8000", "9000"


def environment(name: str) -> dict[str, str]:
    return {key: str(value) for key, value in SERVICES[name].get("environment", {}).items()}


def test_compose_runs_the_processes_of_the_table() -> None:
    assert set(SERVICES) - NOT_IN_TABLE == {line.name for line in PROCESSES} - NOT_IN_COMPOSE


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.name)
def test_a_container_has_the_tables_command_and_environment(line: Process) -> None:
    assert tuple(SERVICES[line.name]["command"]) == line.command
    given = environment(line.name)
    # A job uses the defaults of log level and tracing endpoint.
    assert set(given) - ADDRESSES == set(line.environment), line.name
    if "SERVICE_PORT" in given:
        assert (given["SERVICE_HOST"], given["SERVICE_PORT"]) == ("0.0.0.0", HTTP_PORT)
    if "METRICS_PORT" in given:
        assert (given["METRICS_HOST"], given["METRICS_PORT"]) == ("0.0.0.0", METRICS_PORT)


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.name)
def test_a_process_has_only_its_own_accounts(line: Process) -> None:
    given = environment(line.name)
    if "DATABASE_URL" in given:
        assert_role(given["DATABASE_URL"], line, line.context)
    if "MONGODB_URL" in given:
        url = urlsplit(given["MONGODB_URL"])
        database = database_of(line.context)
        assert (url.username, url.hostname, url.path) == (line.context, "mongodb", f"/{database}")
        assert url.password == VALUES[f"MONGODB_{line.context.upper()}_PASSWORD"]
    if "RABBITMQ_URL" in given:
        url = urlsplit(given["RABBITMQ_URL"])
        account = broker_account(line)
        assert (url.username, url.hostname, url.password) == (account, "rabbitmq", VALUES[_password_of(account)])
    for variable in {"OUTBOX_DATABASE_URLS", "DATABASE_URLS"} & set(given):
        assert set(json.loads(given[variable])) == set(RELATIONAL_CONTEXTS)
        for context, text in json.loads(given[variable]).items():
            assert_role(text, line, context)


def assert_role(text: str, line: Process, context: str) -> None:
    role, url = role_of_process(line, context), urlsplit(text)
    assert (url.username, url.hostname, url.path) == (role, "postgres", f"/{context}")
    assert url.password == VALUES[f"POSTGRES_{role.upper()}_PASSWORD"]


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.name)
def test_no_process_has_administrator_credentials(line: Process) -> None:
    text = json.dumps(environment(line.name))
    for name in ("POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "MONGODB_PASSWORD", "MONGODB_KEY"):
        assert VALUES[name] not in text


def test_every_account_is_created_with_the_password_that_its_processes_use() -> None:
    assert json.loads(environment("accounts-rabbitmq")["ACCOUNT_PASSWORDS"]) == {
        account.name: VALUES[_password_of(account.name)] for account in BROKER_ACCOUNTS
    }
    for job, server, names in (
        ("accounts-postgres", "POSTGRES", ALL_ROLES),
        ("accounts-mongodb", "MONGODB", DOCUMENT_ACCOUNTS),
    ):
        expected = {name: VALUES[f"{server}_{name.upper()}_PASSWORD"] for name in names}
        assert json.loads(environment(job)["ACCOUNT_PASSWORDS"]) == expected


def test_every_process_is_monitored() -> None:
    shown = {line.name for line in OURS if line.probe in {"/metrics", "/readyz"}}
    urls = json.loads(environment("service-operations")["METRICS_URLS"])
    assert set(urls) == shown
    assert all(urlsplit(url).hostname == name for name, url in urls.items())
    for name, url in urls.items():
        assert str(urlsplit(url).port) == (HTTP_PORT if name.startswith("service-") else METRICS_PORT)


def test_every_container_has_limits_and_no_privileges() -> None:
    for name in [line.name for line in OURS] + ["gateway", *sorted(set(SERVICES) & NOT_IN_TABLE)]:
        service = SERVICES[name]
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert "privileged" not in service
        if service["image"].startswith(("holdfast", "nginx")):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name


def test_only_configured_ports_are_published() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    assert not [name for name in ("postgres", "mongodb") if SERVICES[name].get("ports")]


def test_containers_wait_for_their_dependencies() -> None:
    for line in OURS:
        if line.name != "sandbox":
            assert SERVICES[line.name]["depends_on"], line.name
    jobs = {line.name for line in OURS if line.is_job}
    assert jobs <= set(SERVICES["worker-orders"]["depends_on"])
    assert {f"service-{name}" for name in ROUTED} <= set(SERVICES["gateway"]["depends_on"])
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            finished = how["condition"] == "service_completed_successfully"
            assert finished == (SERVICES[other].get("restart") == "no"), f"{name} waits for {other}"


def test_stateless_services_can_be_scaled() -> None:
    for line in OURS:
        assert "container_name" not in SERVICES[line.name]
        if line.name.startswith(("service-", "worker-", "relay-", "scheduler")):
            assert "ports" not in SERVICES[line.name]
            assert "volumes" not in SERVICES[line.name]


def test_the_system_runs_without_monitoring() -> None:
    watching = {name for name, service in SERVICES.items() if service.get("profiles")}
    assert watching == {"prometheus", "grafana", "otel-collector", "jaeger", "kafka"}
    for name in set(SERVICES) - watching:
        assert not watching & set(SERVICES[name].get("depends_on", {}))


def test_every_variable_is_documented_and_used() -> None:
    # The base image is chosen only by the caller of a build.
    only_for_builds = {"PYTHON_IMAGE"}
    assert named_in_files() - only_for_builds == set(VALUES) - {"COMPOSE_PROFILES"}
    for line in OURS:
        for name in set(line.environment) & set(VALUES):
            assert environment(line.name)[name] == VALUES[name], f"{line.name}: {name}"


def test_images_are_pinned_and_mounted_files_exist() -> None:
    for name, service in SERVICES.items():
        _, _, tag = service["image"].rpartition(":")
        assert re.search(r"\d|^dev$", tag), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in FILLED["volumes"], name


def test_the_file_is_valid_for_old_and_new_compose() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert "version" not in FILLED
    for service in SERVICES.values():
        assert not {"deploy", "develop", "configs", "secrets", "pull_policy", "start_interval"} & set(service)
    assert not re.search(r"\$\{[^}]*\$\{", text), "docker-compose 1.29 does not know a variable within a variable"


def _password_of(account: str) -> str:
    return f"RABBITMQ_{account.upper().replace('-', '_')}_PASSWORD"
