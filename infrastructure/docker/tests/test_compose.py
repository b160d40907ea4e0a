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
# What one machine alone needs, or a container in its place: epmd is started by the broker itself there.
NOT_IN_COMPOSE = {"epmd"}
# What only containers need: jobs that `holdfast up` does itself, and what watches.
NOT_IN_TABLE = {
    "kafka",
    *("accounts-postgres", "accounts-rabbitmq", "accounts-mongodb", "gateway-configuration"),
    *("prometheus", "grafana", "otel-collector", "jaeger"),
}
# Inside its own network a process listens for the others.
ADDRESSES = {"SERVICE_HOST", "METRICS_HOST"}
HTTP_PORT, METRICS_PORT = "8000", "9000"


def environment(name: str) -> dict[str, str]:
    return {key: str(value) for key, value in SERVICES[name].get("environment", {}).items()}


def test_the_same_processes_run_as_in_the_table() -> None:
    assert set(SERVICES) - NOT_IN_TABLE == {line.name for line in PROCESSES} - NOT_IN_COMPOSE


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.name)
def test_a_process_has_the_tables_command_and_environment(line: Process) -> None:
    assert tuple(SERVICES[line.name]["command"]) == line.command
    given = environment(line.name)
    # A job's level of logging, and where its spans would go, are its defaults.
    assert set(given) - ADDRESSES == set(line.environment), line.name
    if "SERVICE_PORT" in given:
        assert (given["SERVICE_HOST"], given["SERVICE_PORT"]) == ("0.0.0.0", HTTP_PORT)
    if "METRICS_PORT" in given:
        assert (given["METRICS_HOST"], given["METRICS_PORT"]) == ("0.0.0.0", METRICS_PORT)


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.name)
def test_a_process_has_the_accounts_of_its_own_part_only(line: Process) -> None:
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
def test_no_administrator_reaches_a_process(line: Process) -> None:
    text = json.dumps(environment(line.name))
    for name in ("POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "MONGODB_PASSWORD", "MONGODB_KEY"):
        assert VALUES[name] not in text


def test_every_account_is_made_with_the_password_that_its_processes_use() -> None:
    assert json.loads(environment("accounts-rabbitmq")["ACCOUNT_PASSWORDS"]) == {
        account.name: VALUES[_password_of(account.name)] for account in BROKER_ACCOUNTS
    }
    for job, server, names in (
        ("accounts-postgres", "POSTGRES", ALL_ROLES),
        ("accounts-mongodb", "MONGODB", DOCUMENT_ACCOUNTS),
    ):
        expected = {name: VALUES[f"{server}_{name.upper()}_PASSWORD"] for name in names}
        assert json.loads(environment(job)["ACCOUNT_PASSWORDS"]) == expected


def test_what_measures_knows_every_process() -> None:
    shown = {line.name for line in OURS if line.probe in {"/metrics", "/readyz"}}
    urls = json.loads(environment("service-operations")["METRICS_URLS"])
    assert set(urls) == shown
    assert all(urlsplit(url).hostname == name for name, url in urls.items())
    for name, url in urls.items():
        assert str(urlsplit(url).port) == (HTTP_PORT if name.startswith("service-") else METRICS_PORT)


def test_every_container_of_ours_is_bounded_and_may_do_nothing_to_the_machine() -> None:
    for name in [line.name for line in OURS] + ["gateway", *sorted(set(SERVICES) & NOT_IN_TABLE)]:
        service = SERVICES[name]
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert "privileged" not in service
        if service["image"].startswith(("holdfast", "nginx")):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name


def test_nothing_is_open_but_where_the_settings_say() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    assert not [name for name in ("postgres", "mongodb") if SERVICES[name].get("ports")]


def test_what_starts_waits_for_what_it_needs() -> None:
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


def test_stateless_parts_can_be_scaled() -> None:
    for line in OURS:
        assert "container_name" not in SERVICES[line.name]
        if line.name.startswith(("service-", "worker-", "relay-", "scheduler")):
            assert "ports" not in SERVICES[line.name]
            assert "volumes" not in SERVICES[line.name]


def test_the_core_runs_without_the_part_that_watches() -> None:
    watching = {name for name, service in SERVICES.items() if service.get("profiles")}
    assert watching == {"prometheus", "grafana", "otel-collector", "jaeger", "kafka"}
    for name in set(SERVICES) - watching:
        assert not watching & set(SERVICES[name].get("depends_on", {}))


def test_every_variable_is_explained_in_the_example_and_used() -> None:
    # Which base image is for the caller of a build alone.
    only_for_builds = {"PYTHON_IMAGE"}
    assert named_in_files() - only_for_builds == set(VALUES) - {"COMPOSE_PROFILES"}
    for line in OURS:
        for name in set(line.environment) & set(VALUES):
            assert environment(line.name)[name] == VALUES[name], f"{line.name}: {name}"


def test_images_have_a_version_and_files_that_are_mounted_exist() -> None:
    for name, service in SERVICES.items():
        _, _, tag = service["image"].rpartition(":")
        assert re.search(r"\d|^dev$", tag), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in FILLED["volumes"], name


def test_it_keeps_to_what_old_and_new_compose_understand() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert "version" not in FILLED
    for service in SERVICES.values():
        assert not {"deploy", "develop", "configs", "secrets", "pull_policy", "start_interval"} & set(service)
    assert not re.search(r"\$\{[^}]*\$\{", text), "docker-compose 1.29 does not know a variable within a variable"


def _password_of(account: str) -> str:
    return f"RABBITMQ_{account.upper().replace('-', '_')}_PASSWORD"
