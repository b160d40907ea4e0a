"""A worker for the tests of the kit: a process of its own, whose handlers fail in every way there is.

Each handler counts its attempts in the table `attempts`; one that succeeds counts its effect in `effects`, through the
inbox.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Engine, text

from common.errors import Rejected, Unavailable, Undecided
from common.messaging.celery_worker import run_worker
from common.messaging.inbox import Delivery, once
from common.messaging.worker_settings import WorkerSettings
from common.observability.logs import configure_logging
from common.observability.metrics import serve_metrics
from common.settings import DatabaseSettings, load
from common.storage.postgresql import make_engine, ping, transaction

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = """
CREATE TABLE attempts (event_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE effects (event_id uuid NOT NULL);
CREATE TABLE locked_effects (event_id uuid NOT NULL);
CREATE TABLE switches (name text PRIMARY KEY);
"""


@dataclass(frozen=True, kw_only=True)
class Settings(WorkerSettings, DatabaseSettings):
    """What the sample worker reads."""


def succeed(delivery: Delivery, engine: Engine) -> None:
    _count(delivery, engine)
    with once(engine, delivery) as connection:
        connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})


def reject(delivery: Delivery, engine: Engine) -> None:
    _count(delivery, engine)
    raise Rejected("never")


def fail(delivery: Delivery, engine: Engine) -> None:
    _count(delivery, engine)
    raise RuntimeError("a bug")


def fail_until_switched(delivery: Delivery, engine: Engine) -> None:
    _count(delivery, engine)
    if not _is_switched(engine, "mended"):
        raise Unavailable("the dependency is away")
    succeed(delivery, engine)


def wait_for_decision(delivery: Delivery, engine: Engine) -> None:
    _count(delivery, engine)
    if not _is_switched(engine, "decided"):
        raise Undecided("somebody else decides")
    with once(engine, delivery) as connection:
        connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})


def write_what_may_be_locked(delivery: Delivery, engine: Engine) -> None:
    _count(delivery, engine)
    with once(engine, delivery) as connection:
        connection.execute(text("INSERT INTO locked_effects VALUES (:id)"), {"id": delivery.event.id})


def need_dependency(delivery: Delivery, engine: Engine) -> None:
    _count(delivery, engine)
    probe_dependency(engine)
    with once(engine, delivery) as connection:
        connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})


def crash(delivery: Delivery, engine: Engine) -> None:
    _count(delivery, engine)
    os.kill(os.getpid(), signal.SIGKILL)


def crash_after_the_effect(delivery: Delivery, engine: Engine) -> None:
    """The effect is committed; the acknowledgement never leaves."""
    succeed(delivery, engine)
    os.kill(os.getpid(), signal.SIGKILL)


HANDLERS: dict[str, Callable[[Delivery, Engine], None]] = {
    "sample.fine.v1": succeed,
    "sample.rejected.v1": reject,
    "sample.failing.v1": fail,
    "sample.held_up.v1": fail_until_switched,
    "sample.undecided.v1": wait_for_decision,
    "sample.locked.v1": write_what_may_be_locked,
    "sample.dependent.v1": need_dependency,
    "sample.crashing.v1": crash,
    "sample.crashed_late.v1": crash_after_the_effect,
}


def probe_dependency(engine: Engine) -> None:
    """A dependency whose state the test sets in the database, so that attempts can be counted while it is down."""
    if _is_switched(engine, "down"):
        raise Unavailable("the dependency is down")


def _count(delivery: Delivery, engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(text("INSERT INTO attempts (event_id) VALUES (:id)"), {"id": delivery.event.id})


def _is_switched(engine: Engine, name: str) -> bool:
    with transaction(engine) as connection:
        return connection.execute(text("SELECT 1 FROM switches WHERE name = :name"), {"name": name}).first() is not None


def main() -> None:
    settings = load(Settings)
    configure_logging("sample", settings.log_level)
    engine = make_engine(
        settings.database_url, pool_size=4, timeout_seconds=settings.database_timeout_seconds, name="sample"
    )
    serve_metrics(settings.metrics_host, settings.metrics_port)
    probes = {"postgres": partial(ping, engine), "dependency": partial(probe_dependency, engine)}
    run_worker("sample", HANDLERS, engine, settings, probes=probes)


if __name__ == "__main__":
    main()
