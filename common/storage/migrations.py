"""`python -m common.storage.migrations <context>`: upgrades a context's database to its newest migration.

Safe to run in several processes at once (an advisory lock admits one at a time) and idempotent. Waits up to a minute
for a starting server; every other wait is bounded too. A statement that does not get its lock soon is cancelled and
retried a few times, because other sessions wait behind it. Each migration is a separate transaction; docs/upgrades.md
says what it may contain.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from common.observability import logs
from common.settings import DatabaseSettings, ProcessSettings, load
from common.storage.postgresql import make_engine

# Alembic reads files: nothing is imported from there.
SERVICES = Path(__file__).parents[2] / "services"
SERVER_WAIT_SECONDS = 60.0
TURN_SECONDS = 60.0
STATEMENT_SECONDS = 60.0
LOCK_SECONDS = 2.0
LOCK_TRIES = 20
LOCK_PAUSE_SECONDS = 3.0
_RETRY_SECONDS = 0.5
_LOCK_NOT_AVAILABLE = "55P03"
_ADVISORY_LOCK = 0x686F6C64  # "hold": any number that every instance agrees on
_UNFINISHED_INDEXES = text("""
    SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %s', CAST(indexrelid AS regclass))
    FROM pg_index WHERE NOT indisvalid
""")
_log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, DatabaseSettings):
    """The settings of this job."""


def migrate(name: str, settings: Settings) -> None:
    """Upgrade the database of a context to its newest migration; the main function of the job."""
    logs.configure_logging(f"migrate-{name}", settings.log_level)
    upgrade(name, settings.database_url)
    _log.info("migrated", context=name)


def missing(name: str, engine: Engine) -> list[str]:
    """The migrations that the database lacks; none if it is newer than this code. Raises SQLAlchemy's errors."""
    script = ScriptDirectory(str(_directory(name)))
    newest_first = [each.revision for each in script.walk_revisions()]
    with engine.connect() as connection:
        done = MigrationContext.configure(connection).get_current_revision()
    count = newest_first.index(done) if done in newest_first else 0 if done else len(newest_first)
    return newest_first[:count][::-1]


def upgrade(name: str, database_url: str) -> None:
    """Run the migrations of services/<name> up to the newest."""
    config = Config()
    config.set_main_option("script_location", str(_directory(name)))
    engine = make_engine(database_url, pool_size=1, timeout_seconds=STATEMENT_SECONDS, name=f"migrate-{name}")
    try:
        _wait_for(engine)
        with engine.connect() as connection:
            _take_turn(connection)
            connection.execute(text(f"SET lock_timeout = {int(LOCK_SECONDS * 1000)}"))
            connection.commit()
            config.attributes["connection"] = connection
            _to_head(config, connection)
    finally:
        engine.dispose()


def _take_turn(connection: Connection) -> None:
    """Get the lock that admits one job at a time; the session holds it until the connection ends.

    It polls for the lock: a statement that waits for it would hold a snapshot, for which the other job's CREATE INDEX
    CONCURRENTLY waits.
    """
    deadline = time.monotonic() + TURN_SECONDS
    ask = text("SELECT pg_try_advisory_lock(:lock)")
    while not connection.execute(ask, {"lock": _ADVISORY_LOCK}).scalar_one():
        connection.rollback()
        if time.monotonic() > deadline:
            raise TimeoutError("another migration of this database has not finished in time")
        time.sleep(_RETRY_SECONDS)
    connection.commit()


def _to_head(config: Config, connection: Connection) -> None:
    for left in reversed(range(LOCK_TRIES)):
        try:
            if left < LOCK_TRIES - 1:
                _drop_unfinished_indexes(connection)
            command.upgrade(config, "head")
        except OperationalError as error:
            if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE or not left:
                raise
            connection.rollback()
            _log.info("a table is locked: retrying", tries_left=left)
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return


def _drop_unfinished_indexes(connection: Connection) -> None:
    """Drop the invalid index of a cancelled build; IF NOT EXISTS would accept it, and no query would use it."""
    underlying: Any = connection.connection.dbapi_connection
    found = connection.execute(_UNFINISHED_INDEXES).scalars().all()
    connection.commit()
    underlying.autocommit = True  # CONCURRENTLY cannot run in a transaction
    try:
        for statement in found:
            connection.execute(text(statement))
    finally:
        connection.rollback()
        underlying.autocommit = False


def run() -> None:
    """Run the migrations on the connection of `upgrade`; called by every context's migrations/env.py."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


def _directory(name: str) -> Path:
    return SERVICES / name / "migrations"


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
    migrate(sys.argv[1], load(Settings))


if __name__ == "__main__":
    main()
