"""The worker's tests use the database of the service's."""

from services.inventory.tests.conftest import database_url, engine, pool

__all__ = ["database_url", "engine", "pool"]
