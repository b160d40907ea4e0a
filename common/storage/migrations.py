"""`python -m common.storage.migrations <context>`: bring a context's database to its newest migration.

Safe to run by several processes at once (an advisory lock lets one through at a time) and again at any time (what is
done is done). Waits up to a minute for a server that is still starting; every other wait is bounded too. What does not
get its lock soon gives up and is tried again a few times, since whoever needs the table waits behind it. Each migration
is a transaction of its own; docs/upgrades.md says what may stand in one.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from common.observability import logs
from common.settings import DatabaseSettings, ProcessSettings, load
from common.storage.postgresql import make_engine

SERVER_WAIT_SECONDS = 60.0
STATEMENT_SECONDS = 60.0
LOCK_SECONDS = 2.0
LOCK_TRIES = 20
LOCK_PAUSE_SECONDS = 3.0
_RETRY_SECONDS = 0.5
_LOCK_NOT_AVAILABLE = "55P03"
_ADVISORY_LOCK = 0x686F6C64  # "hold": any number that every instance agrees on
_log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, DatabaseSettings):
    """What this job reads."""


def upgrade(name: str, database_url: str) -> None:
    """Run the migrations of services/<name> up to the newest."""
    config = Config()
    config.set_main_option("script_location", str(_directory(name)))
    engine = make_engine(database_url, pool_size=1, timeout_seconds=STATEMENT_SECONDS, name=f"migrate-{name}")
    try:
        _wait_for(engine)
        with engine.connect() as connection:
            # Held by the session, not the transaction: it outlives the commit and ends with the connection.
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            connection.execute(text(f"SET lock_timeout = {int(LOCK_SECONDS * 1000)}"))
            connection.commit()
            config.attributes["connection"] = connection
            _to_head(config, connection)
    finally:
        engine.dispose()


def _to_head(config: Config, connection: Connection) -> None:
    for left in reversed(range(LOCK_TRIES)):
        try:
            command.upgrade(config, "head")
        except OperationalError as error:
            if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE or not left:
                raise
            connection.rollback()
            _log.info("a table is in use: trying again", tries_left=left)
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return


def run() -> None:
    """What every context's migrations/env.py calls: run the migrations on the connection of `upgrade`."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


def _directory(name: str) -> Path:
    package = import_module(f"services.{name}")
    return Path(str(package.__file__)).parent / "migrations"


def _wait_for(engine: Engine) -> None:
    deadline = time.monotonic() + SERVER_WAIT_SECONDS
    while True:
        try:
            with engine.connect():
                return
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            _log.info("waiting for the server", seconds_left=round(deadline - time.monotonic()))
            time.sleep(_RETRY_SECONDS)


def main() -> None:
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one context
        raise SystemExit("usage: python -m common.storage.migrations <context>")
    settings = load(Settings)
    logs.configure_logging(f"migrate-{sys.argv[1]}", settings.log_level)
    upgrade(sys.argv[1], settings.database_url)
    _log.info("migrated", context=sys.argv[1])


if __name__ == "__main__":
    main()
