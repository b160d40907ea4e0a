"""The settings that several processes share; a process adds its own where it starts (see common/environment.py).

docs/configuration.md and the .env.examples are made from these classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.environment import load, refuse, setting, variables
from common.setting_checks import (
    HTTP_URL,
    PORT,
    POSTGRES_URL,
    RATE,
    RATE_STORE,
    ROUTE_RATES,
    between,
    networks,
    one_of,
    url_with,
    urls_with,
)

__all__ = [
    "DATABASE_WAIT",
    "LOG_LEVELS",
    "MAX_FAILURES",
    "BrokerSettings",
    "DatabaseSettings",
    "DocumentSettings",
    "HttpSettings",
    "ListenSettings",
    "LogSettings",
    "MetricsSettings",
    "ProcessSettings",
    "ServiceSettings",
    "load",
    "refuse",
    "setting",
    "variables",
]  # `load`, `refuse`, `setting` and `variables` are used with these classes: one import

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

# For processes with a circuit breaker.
MAX_FAILURES: Any = setting(
    "CIRCUIT_BREAKER_MAX_FAILURES",
    "int",
    default=5,
    check=between(1, 1000),
    meaning="Consecutive failures after which a circuit breaker opens.",
)
DATABASE_WAIT = "Longest wait for PostgreSQL in one call, in seconds."


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """The log level of a process."""

    log_level: str = setting(
        "LOG_LEVEL", default="INFO", check=one_of(*LOG_LEVELS), meaning=f"Lowest level logged: {', '.join(LOG_LEVELS)}."
    )


@dataclass(frozen=True, kw_only=True)
class ProcessSettings(LogSettings):
    """The settings of every process of a context."""

    otel_exporter_otlp_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        default=None,
        check=HTTP_URL,
        meaning="Base URL of a collector that accepts spans by OTLP over HTTP (usually port 4318). Empty: no tracing.",
    )
    otel_traces_sampler_arg: float = setting(
        "OTEL_TRACES_SAMPLER_ARG",
        "float",
        default=1.0,
        check=between(0, 1),
        meaning="Ratio of the new traces that are recorded, 0 to 1.",
    )


@dataclass(frozen=True, kw_only=True)
class ListenSettings:
    """The address on which a process serves requests."""

    service_port: int = setting(
        "SERVICE_PORT", "int", default=8000, check=PORT, meaning="Port that the service listens on."
    )
    service_host: str = setting("SERVICE_HOST", default="127.0.0.1", meaning="Address that the service listens on.")


@dataclass(frozen=True, kw_only=True)
class HttpSettings(ProcessSettings, ListenSettings):
    """The settings of every HTTP service."""

    service_threads: int = setting(
        "SERVICE_THREADS",
        "int",
        default=8,
        check=between(1, 128),
        meaning="Requests handled concurrently. The pool has a connection for each, and one for the readiness check.",
    )
    service_queue: int = setting(
        "SERVICE_QUEUE",
        "int",
        default=256,
        check=between(1, 10_000),
        meaning="Requests that may wait for a thread; more are rejected with 503.",
    )
    service_wait_seconds: float = setting(
        "SERVICE_WAIT_SECONDS",
        "float",
        default=1.0,
        check=between(0.01, 60),
        meaning="Longest wait for a thread, in seconds; then the request is rejected with 503.",
    )
    service_client_seconds: float = setting(
        "SERVICE_CLIENT_SECONDS",
        "float",
        default=10.0,
        check=between(0.1, 300),
        meaning="Time for a client to send a request, and to receive the response, in seconds.",
    )
    rate_limit_authenticated: str | None = setting(
        "RATE_LIMIT_AUTHENTICATED",
        formerly="RATE_LIMIT_CALLERS",
        default=None,
        check=RATE,
        meaning="Limit of one caller, like 600/minute. Empty: no limit.",
    )
    rate_limit_anonymous: str | None = setting(
        "RATE_LIMIT_ANONYMOUS",
        formerly="RATE_LIMIT_STRANGERS",
        default="1200/minute",
        check=RATE,
        meaning="Limit of one address on public routes that use much processor time.",
    )
    rate_limit_routes: str = setting(
        "RATE_LIMIT_ROUTES",
        default="",
        check=ROUTE_RATES,
        meaning="Limits of single routes of any service, like `POST /api/v1/orders=60/minute`, separated by `;`.",
    )
    rate_limit_storage_url: str = setting(
        "RATE_LIMIT_STORAGE_URL",
        default="memory://",
        check=RATE_STORE,
        meaning="Where requests are counted: `memory://`, or a MongoDB database that instances share.",
    )
    trusted_proxies: str = setting(
        "TRUSTED_PROXIES",
        default="127.0.0.0/8,::1/128",
        check=networks,
        meaning="Networks (CIDR, comma-separated) of the proxies whose X-Forwarded-For is trusted.",
    )

    @property
    def pool_size(self) -> int:
        """Connections of the service's pool: one for each thread, and one for the readiness check."""
        return self.service_threads + 1


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(HttpSettings):
    """The settings of every HTTP service that verifies tokens with the users service's published keys."""

    jwks_url: str = setting(
        "JWKS_URL", check=HTTP_URL, meaning="Where the users service publishes the keys that verify tokens."
    )


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """PostgreSQL: its address, and the time-out of a call (a frozen server must not block a thread)."""

    database_url: str = setting(
        "DATABASE_URL",
        check=POSTGRES_URL,
        meaning="PostgreSQL database of the context, as the role of the process: postgresql://ROLE:PASSWORD@HOST:PORT/NAME.",
    )
    database_timeout_seconds: float = setting(
        "DATABASE_TIMEOUT_SECONDS", "float", default=1.0, check=between(0.1, 60), meaning=DATABASE_WAIT
    )


@dataclass(frozen=True, kw_only=True)
class DocumentSettings:
    """MongoDB: its address, and the time-out of a call."""

    mongodb_url: str = setting(
        "MONGODB_URL",
        check=url_with("mongodb", "mongodb+srv"),
        meaning="MongoDB database of the context, on a replica set, as the account that owns it.",
    )
    mongodb_timeout_seconds: float = setting(
        "MONGODB_TIMEOUT_SECONDS",
        "float",
        default=1.0,
        check=between(0.1, 60),
        meaning="Longest wait for MongoDB in one call, in seconds.",
    )


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """RabbitMQ. The nodes of a cluster are several URLs, separated by `;`: if one does not answer, the next one is
    used.
    """

    rabbitmq_url: str = setting(
        "RABBITMQ_URL",
        default="amqp://guest:guest@localhost:5672/",
        check=urls_with("amqp", "amqps"),
        meaning="RabbitMQ, as the account of this kind of process. Nodes of a cluster: one URL each, separated by `;`.",
    )


@dataclass(frozen=True, kw_only=True)
class MetricsSettings:
    """The address on which a process without routes serves its metrics."""

    metrics_port: int = setting(
        "METRICS_PORT", "int", default=9000, check=PORT, meaning="Port that the process serves /metrics on."
    )
    metrics_host: str = setting(
        "METRICS_HOST", default="127.0.0.1", meaning="Address that the process serves /metrics on."
    )
