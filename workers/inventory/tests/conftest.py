"""The worker's tests use the database fixture of the service's tests."""

from services.inventory.tests.conftest import database_url, engine, pool

__all__ = ["database_url", "engine", "pool"]
