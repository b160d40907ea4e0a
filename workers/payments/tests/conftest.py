"""The worker's tests use the database and provider fixtures of the service's tests."""

from services.payments.tests.conftest import (
    database_url,
    engine,
    pool,
    provider,
    provider_settings,
    resources,
    sandbox,
    sandbox_process,
)

__all__ = [
    "database_url",
    "engine",
    "pool",
    "provider",
    "provider_settings",
    "resources",
    "sandbox",
    "sandbox_process",
]
