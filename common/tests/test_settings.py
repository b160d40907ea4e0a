from dataclasses import dataclass

import pytest

from common.messaging.worker_settings import WorkerSettings
from common.settings import (
    DatabaseSettings,
    DocumentSettings,
    HttpSettings,
    ServiceSettings,
    load,
    setting,
    variables,
)


@dataclass(frozen=True, kw_only=True)
class Sample(ServiceSettings, DatabaseSettings):
    extra: str = setting("EXTRA", default="x", meaning="One more.")


_GOOD = {"JWKS_URL": "http://127.0.0.1:1/k", "DATABASE_URL": "postgresql+psycopg2://u:p@h/d"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*variables(Sample), *variables(WorkerSettings)}:
        monkeypatch.delenv(name, raising=False)
    for name, value in _GOOD.items():
        monkeypatch.setenv(name, value)


def test_defaults_are_those_of_the_design() -> None:
    settings = load(Sample)
    assert (settings.service_port, settings.log_level, settings.extra) == (8000, "INFO", "x")
    worker = load(WorkerSettings)
    assert (worker.rabbitmq_url, worker.retry_attempts) == ("amqp://guest:guest@localhost:5672/", 3)


def test_a_process_reads_what_it_declares_only() -> None:
    assert "JWKS_URL" not in variables(HttpSettings)
    assert {"JWKS_URL", "SERVICE_PORT", "LOG_LEVEL", "DATABASE_URL", "EXTRA"} <= set(variables(Sample))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", None),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "postgres://u:p@h/d"),
        ("DATABASE_URL", "postgresql+psycopg://u:p@h/d"),
        ("DATABASE_URL", "postgresql+psycopg2:///d"),
        ("DATABASE_URL", "postgresql+psycopg2://h:port/d"),
        ("DATABASE_URL", "postgresql+psycopg2://h:65536/d"),
        ("DATABASE_URL", "postgresql+psycopg2://[::1/d"),
        ("JWKS_URL", "file:///etc/passwd"),
        ("SERVICE_PORT", "many"),
        ("SERVICE_PORT", "0"),
        ("SERVICE_PORT", "65536"),
        ("SERVICE_THREADS", "0"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE_TIMEOUT_SECONDS", "0"),
    ],
)
def test_a_bad_variable_stops_the_process_and_names_itself(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        load(Sample)
    assert stopped.value.code == 2
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("url", ["postgresql://u:p@h/d", "postgresql+psycopg2://u:p@h:5432/d?sslmode=require"])
def test_a_database_is_named_with_or_without_its_driver(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert load(Sample).database_url == url


def test_all_bad_variables_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVICE_PORT", "many")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SystemExit):
        load(Sample)
    output = capsys.readouterr().err
    assert "SERVICE_PORT" in output
    assert "LOG_LEVEL" in output


def test_a_variable_set_to_nothing_means_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PORT", "")
    assert load(Sample).service_port == 8000


def test_a_cluster_of_brokers_has_several_urls(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for good in ("amqp://u:p@a:5672/", "amqp://u:p@a/;amqps://u:p@b:5673/v;amqp://c"):
        monkeypatch.setenv("RABBITMQ_URL", good)
        assert load(WorkerSettings).rabbitmq_url == good
    for wrong in (
        "amqp://u:p@a/;",
        "amqp://u:p@a/;http://b/",
        "amqp://a/ ; amqp://b/",
        "amqp://u:secret@a:0/;amqp://b",
    ):
        monkeypatch.setenv("RABBITMQ_URL", wrong)
        with pytest.raises(SystemExit):
            load(WorkerSettings)
        errors = capsys.readouterr().err
        assert "RABBITMQ_URL: URL " in errors
        assert "of 2" in errors
        assert "secret" not in errors


def test_a_replica_set_has_several_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    several = "mongodb://u:p@a:27017,b:27018,[::1]:27019/d?replicaSet=r"
    for url in (several, "mongodb://u:p@a/d", "mongodb+srv://u:p@a.example/d"):
        monkeypatch.setenv("MONGODB_URL", url)
        assert load(DocumentSettings).mongodb_url == url
    for wrong in ("mongodb://u:p@a:27017,/d", "mongodb://u:p@a:27017,b:0/d", "mongodb:///d", "amqp://a,b/"):
        monkeypatch.setenv("MONGODB_URL", wrong)
        with pytest.raises(SystemExit):
            load(DocumentSettings)


@dataclass(frozen=True)
class Renamed:
    limit: str = setting("LIMIT", default="none", meaning="A limit.", formerly="OLD_LIMIT")


def test_a_former_name_is_read_with_a_warning_and_the_new_name_wins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIMIT", "")
    monkeypatch.setenv("OLD_LIMIT", "5/minute")
    assert load(Renamed).limit == "5/minute"
    assert "OLD_LIMIT is now called LIMIT" in capsys.readouterr().err
    monkeypatch.setenv("LIMIT", "6/minute")
    monkeypatch.setenv("OLD_LIMIT", "5/minute")
    assert load(Renamed).limit == "6/minute"
