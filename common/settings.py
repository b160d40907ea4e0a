"""Environment -> typed settings, checked once at start.

A process declares what it reads as a frozen dataclass made of `setting(...)` fields; `load` answers an instance or
stops the process, naming every variable that is missing or malformed (twelve-factor: https://12factor.net/config).
Nothing else in the tree reads the environment.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from environs import Env, EnvValidationError, validate
from marshmallow import ValidationError

T = TypeVar("T")
_REQUIRED = object()

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def setting(name: str, kind: str = "str", *, default: Any = _REQUIRED, check: Any = None) -> Any:
    """A dataclass field read from the variable `name` by environs' parser `kind` (str, int, float, bool, json)."""
    options: dict[str, Any] = {} if default is _REQUIRED else {"default": default}
    if check is not None:
        options["validate"] = check
    metadata = {"name": name, "kind": kind, "options": options}
    return field(metadata=metadata) if default is _REQUIRED else field(default=default, metadata=metadata)


def load(kind: type[T]) -> T:
    """Read `kind` from the environment; on bad settings print each by name and exit with status 2."""
    env = Env(eager=False)
    values: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]  # dataclasses has no public protocol to name here
        variable = item.metadata
        # A variable set to nothing is a variable that was forgotten, not a value.
        if os.environ.get(variable["name"]) == "":
            del os.environ[variable["name"]]
        values[item.name] = getattr(env, variable["kind"])(variable["name"], **variable["options"])
    try:
        env.seal()
    except EnvValidationError as error:
        for name, reasons in cast("dict[str, list[str]]", error.error_messages).items():
            print(f"bad setting {name}: {'; '.join(map(str, reasons))}", file=sys.stderr)  # noqa: T201 - no logger exists yet
        raise SystemExit(2) from None
    return kind(**values)


def variables(kind: type[Any]) -> list[str]:
    """The names of the variables that `kind` reads, for documents and checks."""
    return [item.metadata["name"] for item in fields(kind)]


def url_with(*schemes: str) -> Any:
    """A check: the value is a URL with a host and one of `schemes`. MongoDB's may name several: its replica set's."""

    def check(value: str) -> None:
        try:
            parts = urlsplit(value)
            hosts = parts.netloc.rpartition("@")[2].split(",") if parts.scheme == "mongodb" else [parts.netloc]
            valid = parts.scheme in schemes and all(map(_is_host, hosts))
        except ValueError:  # a bad port, or a bad IPv6 address
            valid = False
        if not valid:
            message = f"expected a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}"
            raise ValidationError(message)

    return check


def urls_with(*schemes: str) -> Any:
    """A check: one such URL, or several that lead to the same, separated by `;` alone (a cluster's nodes)."""
    check_one = url_with(*schemes)

    def check(value: str) -> None:
        for number, url in enumerate(urls := value.split(";"), 1):
            try:
                check_one("" if url != url.strip() else url)
            except ValidationError as error:  # without the URL itself: there is a password in it
                place = f"URL {number} of {len(urls)}: " if len(urls) > 1 else ""
                raise ValidationError(f"{place}{error.messages[0]}") from None

    return check


def _is_host(text: str) -> bool:
    parts = urlsplit(f"//{text}")
    return bool(parts.hostname) and parts.port != 0


def between(low: float, high: float) -> Any:
    """A check: low <= value <= high."""
    return validate.Range(min=low, max=high)


POSTGRES_URL = url_with("postgresql", "postgresql+psycopg2")
RATE = validate.Regexp(r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$", error="expected a rate like 600/minute")
RATE_STORE = validate.Regexp(r"^(memory://|mongodb(\+srv)?://.+)$", error="expected memory:// or a URL of MongoDB")

# How many outages in a row open a circuit breaker; for the settings of processes that have one.
MAX_FAILURES: Any = setting("CIRCUIT_BREAKER_MAX_FAILURES", "int", default=5, check=between(1, 1000))


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """What every process reads. Without a collector no spans are recorded; the ratio is that of new traces."""

    log_level: str = setting("LOG_LEVEL", default="INFO", check=validate.OneOf(LOG_LEVELS))
    otel_exporter_otlp_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT", default=None, check=url_with("http", "https")
    )
    otel_traces_sampler_arg: float = setting("OTEL_TRACES_SAMPLER_ARG", "float", default=1.0, check=between(0, 1))


@dataclass(frozen=True, kw_only=True)
class HttpSettings(ProcessSettings):
    """What every HTTP process reads.

    Threads bound how many requests run at once; the pool has one connection each. Beyond those a bounded number waits,
    for a bounded time; the rest is refused. The gateway is the one trusted hop that says where a request came from.
    """

    service_port: int = setting("SERVICE_PORT", "int", default=8000, check=between(1, 65535))
    service_host: str = setting("SERVICE_HOST", default="127.0.0.1")
    service_threads: int = setting("SERVICE_THREADS", "int", default=8, check=between(1, 128))
    service_queue: int = setting("SERVICE_QUEUE", "int", default=256, check=between(1, 10_000))
    service_wait_seconds: float = setting("SERVICE_WAIT_SECONDS", "float", default=1.0, check=between(0.01, 60))
    rate_limit_callers: str | None = setting("RATE_LIMIT_CALLERS", default=None, check=RATE)
    rate_limit_strangers: str | None = setting("RATE_LIMIT_STRANGERS", default="1200/minute", check=RATE)
    rate_limit_storage_url: str = setting("RATE_LIMIT_STORAGE_URL", default="memory://", check=RATE_STORE)
    trusted_hops: int = setting("TRUSTED_HOPS", "int", default=1, check=between(0, 10))


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(HttpSettings):
    """What every HTTP service reads that verifies tokens with the users service's published keys."""

    jwks_url: str = setting("JWKS_URL", check=url_with("http", "https"))


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """PostgreSQL: where it is, and how long a call may wait for it (a frozen server must not hold a thread)."""

    database_url: str = setting("DATABASE_URL", check=POSTGRES_URL)
    database_timeout_seconds: float = setting("DATABASE_TIMEOUT_SECONDS", "float", default=1.0, check=between(0.1, 60))


@dataclass(frozen=True, kw_only=True)
class DocumentSettings:
    """MongoDB: where it is, and how long a call may wait for it."""

    mongodb_url: str = setting("MONGODB_URL", check=url_with("mongodb", "mongodb+srv"))
    mongodb_timeout_seconds: float = setting("MONGODB_TIMEOUT_SECONDS", "float", default=1.0, check=between(0.1, 60))


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """RabbitMQ. A cluster's nodes are several URLs, separated by `;`: where one does not answer, the next one does."""

    rabbitmq_url: str = setting(
        "RABBITMQ_URL", default="amqp://guest:guest@localhost:5672/", check=urls_with("amqp", "amqps")
    )


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(ProcessSettings, BrokerSettings):
    """What every Celery worker reads. `retry_attempts` bounds the delayed retries of one event, then it is dead."""

    retry_attempts: int = setting("RETRY_ATTEMPTS", "int", default=3, check=between(0, 20))
    worker_threads: int = setting("WORKER_THREADS", "int", default=4, check=between(1, 64))
    metrics_port: int = setting("METRICS_PORT", "int", default=9000, check=between(1, 65535))
    metrics_host: str = setting("METRICS_HOST", default="127.0.0.1")
