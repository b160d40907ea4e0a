"""The job itself; what it does stands in the package."""

from __future__ import annotations

from dataclasses import dataclass

from common.observability import logs
from common.settings import DocumentSettings, ProcessSettings, load
from common.storage.mongodb import connect
from services.operations.migrations import upgrade

SERVER_WAIT_SECONDS = 60.0
INDEX_SECONDS = 60.0  # an index over a large collection takes its time


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, DocumentSettings):
    """What this job reads."""


def main() -> None:
    settings = load(Settings)
    logs.configure_logging("migrate-operations", settings.log_level)
    database = connect(settings.mongodb_url, timeout_seconds=INDEX_SECONDS, name="migrate-operations", pool_size=1)
    names = upgrade(database, wait_seconds=SERVER_WAIT_SECONDS)
    logs.logger(__name__).info("migrated", context="operations", indexes=names)


if __name__ == "__main__":
    main()
