"""A worker for the tests of the kit: a process of its own, whose handlers fail in every way there is.

Each handler counts its attempts in the table `attempts`; one that succeeds counts its effect in `effects`, through the
inbox.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from unittest import mock

from sqlalchemy import Engine, text

from common.errors import Rejected, Unavailable, Undecided
from common.messaging import celery_settings, celery_worker, redelivery
from common.messaging.batch_handling import Batching, InboxBatches
from common.messaging.celery_worker import run_worker
from common.messaging.inbox import Delivery, Work, once
from common.messaging.worker_settings import BatchWorkerSettings
from common.observability.logs import configure_logging
from common.observability.metrics import serve_metrics
from common.settings import DatabaseSettings, load
from common.storage.postgresql import make_engine, ping, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW_SECONDS = 0.3
MEETING_SECONDS = 60.0
_MEETING = threading.Barrier(2)
SCHEMA = """
CREATE TABLE attempts (event_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE effects (event_id uuid NOT NULL);
CREATE TABLE locked_effects (event_id uuid NOT NULL);
CREATE TABLE switches (name text PRIMARY KEY);
"""


@dataclass(frozen=True, kw_only=True)
class Settings(BatchWorkerSettings, DatabaseSettings):
    """What the sample worker reads."""


def succeed(delivery: Delivery, work: Work) -> None:
    _count(delivery)
    with once(work, delivery) as connection:
        connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})


def succeed_slowly(delivery: Delivery, work: Work) -> None:
    time.sleep(SLOW_SECONDS)
    succeed(delivery, work)


def meet(delivery: Delivery, work: Work) -> None:
    """Only together with another one."""
    _MEETING.wait(MEETING_SECONDS)
    succeed(delivery, work)


def reject(delivery: Delivery, work: Work) -> None:
    _count(delivery)
    raise Rejected("never")


def fail(delivery: Delivery, work: Work) -> None:
    _count(delivery)
    raise RuntimeError("a bug")


def fail_until_switched(delivery: Delivery, work: Work) -> None:
    _count(delivery)
    if not _is_switched("repaired"):
        raise Unavailable("the dependency is away")
    succeed(delivery, work)


def wait_for_decision(delivery: Delivery, work: Work) -> None:
    _count(delivery)
    if not _is_switched("decided"):
        raise Undecided("somebody else decides")
    with once(work, delivery) as connection:
        connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})


def write_what_may_be_locked(delivery: Delivery, work: Work) -> None:
    _count(delivery)
    with once(work, delivery) as connection:
        if "SAMPLE_LOCK_MS" in os.environ:
            connection.execute(text(f"SET LOCAL lock_timeout = {int(os.environ['SAMPLE_LOCK_MS'])}"))
        connection.execute(text("INSERT INTO locked_effects VALUES (:id)"), {"id": delivery.event.id})


def need_dependency(delivery: Delivery, work: Work) -> None:
    _count(delivery)
    probe_dependency()
    with once(work, delivery) as connection:
        connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})


def crash(delivery: Delivery, work: Work) -> None:
    _count(delivery)
    if _is_switched("repaired"):
        succeed(delivery, work)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def crash_after_the_effect(delivery: Delivery, work: Work) -> None:
    """The effect is committed; the acknowledgement never leaves."""
    succeed(delivery, work)
    os.kill(os.getpid(), signal.SIGKILL)


HANDLERS: dict[str, Callable[[Delivery, Work], None]] = {
    "sample.fine.v1": succeed,
    "sample.slow.v1": succeed_slowly,
    "sample.meeting.v1": meet,
    "sample.rejected.v1": reject,
    "sample.failing.v1": fail,
    "sample.held_up.v1": fail_until_switched,
    "sample.undecided.v1": wait_for_decision,
    "sample.locked.v1": write_what_may_be_locked,
    "sample.dependent.v1": need_dependency,
    "sample.crashing.v1": crash,
    "sample.crashed_late.v1": crash_after_the_effect,
}


def probe_dependency() -> None:
    """A dependency whose state the test sets in the database, so that attempts can be counted while it is down."""
    if _is_switched("down"):
        raise Unavailable("the dependency is down")


def _count(delivery: Delivery) -> None:
    with transaction(_beside()) as connection:
        connection.execute(text("INSERT INTO attempts (event_id) VALUES (:id)"), {"id": delivery.event.id})


def _is_switched(name: str) -> bool:
    with transaction(_beside()) as connection:
        return connection.execute(text("SELECT 1 FROM switches WHERE name = :name"), {"name": name}).first() is not None


@cache
def _beside() -> Engine:
    """The count is committed even if the handler's transaction is rolled back."""
    settings = load(Settings)
    return make_engine(
        settings.database_url, pool_size=4, timeout_seconds=settings.database_timeout_seconds, name="sample"
    )


def main() -> None:
    settings = load(Settings)
    configure_logging("sample", settings.log_level)
    engine = make_engine(
        settings.database_url, pool_size=4, timeout_seconds=settings.database_timeout_seconds, name="sample"
    )
    serve_metrics(settings.metrics_host, settings.metrics_port)
    probes: dict[str, Callable[[], object]] = {"postgres": partial(ping, engine), "dependency": probe_dependency}
    batching = Batching(InboxBatches(engine, HANDLERS).handle, settings.event_batch_size)
    with _patience():
        run_worker("sample", HANDLERS, engine, settings, probes=probes, batching=batching)


@contextmanager
def _patience() -> Iterator[None]:
    """A broker or a collector that a busy machine slows down is not away, unless a test says when it is."""
    seconds = os.environ.get("SAMPLE_HEARTBEAT_SECONDS", "10")

    def settings(*args: Any, **options: Any) -> dict[str, Any]:
        return celery_settings.celery_settings(*args, **options) | {"broker_heartbeat": int(seconds)}

    with ExitStack() as patches:
        confirm_seconds = float(os.environ.get("SAMPLE_CONFIRM_SECONDS", "60"))
        patches.enter_context(mock.patch.object(redelivery, "CONFIRM_SECONDS", confirm_seconds))
        patches.enter_context(mock.patch.object(celery_worker, "celery_settings", settings))
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            patches.enter_context(mock.patch("common.observability.spans.EXPORT_SECONDS", 60.0))
        yield


if __name__ == "__main__":
    main()
