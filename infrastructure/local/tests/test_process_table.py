"""The process table, and the native stack's processes."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from infrastructure.gateway.routes import ROUTES, SERVICES
from infrastructure.local.control import CONTROL
from infrastructure.local.credentials import load_credentials
from infrastructure.local.environment import environment_of, variables
from infrastructure.local.home import open_home
from infrastructure.local.plan import spec_of
from infrastructure.local.ports import listening_offsets
from infrastructure.processes import PORTS_PER_STACK, PROCESSES, RELATIONAL_CONTEXTS, Process, port_of, process

OURS = [line for line in PROCESSES if line.command]


def test_names_and_ports_are_unique() -> None:
    names = [line.name for line in PROCESSES]
    assert len(set(names)) == len(names)
    offsets = [line.port_offset for line in PROCESSES if line.port_offset is not None]
    assert len(set(offsets)) == len(offsets)
    assert CONTROL.port_offset not in offsets
    assert len(listening_offsets()) == len(offsets) + 5  # three of RabbitMQ, the mail catcher's, the control process
    assert max(listening_offsets()) < PORTS_PER_STACK


def test_ports_are_offsets_from_the_base() -> None:
    assert port_of("gateway", 8000) == 8000
    assert port_of("rabbitmq", 9000) == 9011
    with pytest.raises(LookupError, match="listens on no port"):
        port_of("seed", 8000)
    with pytest.raises(LookupError, match="service-orders"):
        process("service-nonsense")


@pytest.mark.parametrize("line", [*OURS, CONTROL], ids=lambda line: line.name)
def test_a_process_gets_only_its_listed_variables(
    line: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    for name in variables(line):
        monkeypatch.setenv(name, "the caller's own")
    home = open_home(tmp_path / "home", 9000)
    found = environment_of(line, home, load_credentials(home))
    assert set(found) == {*variables(line), "PATH", "HOME", "LANG", "TZ"}
    addresses = {"DATABASE_URL", "MONGODB_URL", "RABBITMQ_URL", "SERVICE_PORT", "METRICS_PORT", "TOKEN_SIGNING_KEY"}
    assert "the caller's own" not in {found.get(name) for name in addresses}


def test_an_unset_variable_is_omitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = open_home(tmp_path / "home", 9000)
    line = process("worker-notifications")
    for name in variables(line):
        monkeypatch.delenv(name, raising=False)
    found = environment_of(line, home, load_credentials(home))
    assert "WEBHOOK_RETRY_SECONDS" not in found
    assert all(found.values())


@pytest.mark.parametrize("line", [line for line in OURS if "gunicorn" in line.command], ids=lambda line: line.name)
def test_route_quotas_reach_every_service_and_keep_other_quotas(
    line: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = open_home(tmp_path / "home", 9000)
    monkeypatch.setenv("RATE_LIMIT_ROUTES", "POST /api/v1/orders=60/minute")
    quotas = environment_of(line, home, load_credentials(home))["RATE_LIMIT_ROUTES"].split(";")
    assert quotas == ["POST /api/v1/users=1000000/hour", "POST /api/v1/orders=60/minute"]


def test_the_tracing_endpoint_comes_from_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = open_home(tmp_path, 9000)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    for name in ("service-orders", "worker-payments", "relay-1"):
        found = environment_of(process(name), home, load_credentials(home))
        assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://localhost:4318"


def test_the_breakers_failure_limit_comes_from_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = open_home(tmp_path, 9000)
    monkeypatch.setenv("CIRCUIT_BREAKER_MAX_FAILURES", "2")
    for name in ("service-archive", "service-operations", "service-payments", "worker-payments"):
        found = environment_of(process(name), home, load_credentials(home))
        assert found["CIRCUIT_BREAKER_MAX_FAILURES"] == "2"


def test_each_context_has_its_own_database_and_role(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    credentials = load_credentials(home)
    urls = [
        environment_of(process(f"service-{context}"), home, credentials)["DATABASE_URL"]
        for context in RELATIONAL_CONTEXTS
    ]
    assert len({url.split("//")[1].split(":")[0] for url in urls}) == len(urls)
    assert len({url.split(":")[2].split("@")[0] for url in urls}) == len(urls)
    url = urls[RELATIONAL_CONTEXTS.index("orders")]
    assert url.startswith("postgresql+psycopg2://orders:")
    assert url.endswith("@127.0.0.1:9010/orders")


def test_only_payments_processes_have_the_payment_providers_key() -> None:
    holders = {line.name for line in PROCESSES if "STRIPE_API_KEY" in line.environment}
    assert holders == {"service-payments", "worker-payments"}


def test_relays_scheduler_and_migrations_have_their_own_roles(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    credentials = load_credentials(home)
    for name, variable, part in (
        ("relay-1", "OUTBOX_DATABASE_URLS", "relay"),
        ("relay-2", "OUTBOX_DATABASE_URLS", "relay"),
        ("scheduler", "DATABASE_URLS", "scheduler"),
    ):
        urls = json.loads(environment_of(process(name), home, credentials)[variable])
        assert {context: urlsplit(url).username for context, url in urls.items()} == {
            context: f"{context}_{part}" for context in RELATIONAL_CONTEXTS
        }
        assert all(urlsplit(url).path == f"/{context}" for context, url in urls.items())
    owner = urlsplit(environment_of(process("migrate-orders"), home, credentials)["DATABASE_URL"])
    assert (owner.username, owner.path) == ("orders_owner", "/orders")


def test_payments_use_the_sandbox_without_a_stripe_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = open_home(tmp_path, 9000)
    line = process("worker-payments")
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    assert environment_of(line, home, load_credentials(home))["STRIPE_API_BASE"] == "http://127.0.0.1:9016"
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_real")
    found = environment_of(line, home, load_credentials(home))
    assert (found["STRIPE_API_KEY"], found["STRIPE_API_BASE"]) == ("sk_test_real", "https://api.stripe.com")


def test_specs_run_the_tables_modules_with_the_projects_interpreter(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    spec = spec_of(process("relay-1"), home, load_credentials(home))
    assert spec.words[0].startswith("/")
    assert spec.words[1:] == ["-m", "workers.relay.main"]


def test_the_gateway_knows_every_service_of_the_table() -> None:
    services = {line.context for line in PROCESSES if line.name.startswith("service-")}
    assert set(SERVICES) == services
    assert {name for _, name in ROUTES} == services
