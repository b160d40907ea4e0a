"""A thousand dead letters of a bug, replayed in bulk after the fix: every effect happens once."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.messaging import inbox, topology
from common.messaging.events import CONTENT_TYPE, new_id
from common.messaging.relay import headers
from common.storage.postgresql import make_engine, transaction
from common.tests.ports import free_port
from common.tests.sample_worker import SCHEMA
from services.operations import usecases
from services.operations.domain import Filter
from workers.operations.tests.worker_process import QUEUE, sample, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.operations.tests.worker_process import OperationsWorker

pytestmark = pytest.mark.integration
EVENTS = 1_000
SECONDS = 120.0


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    made = make_engine(database(), pool_size=2, timeout_seconds=60, name="test")
    with transaction(made) as connection:
        connection.execute(text(SCHEMA))
        connection.execute(text(inbox.SCHEMA_V1))
    yield made
    made.dispose()


@contextmanager
def consumer(operations_worker: OperationsWorker, engine: Engine) -> Iterator[None]:
    known = {
        "RABBITMQ_URL": operations_worker.broker_url,
        "DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "METRICS_PORT": str(free_port()),
        "RETRY_ATTEMPTS": "0",
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.operations.tests.repaired_worker"], env=os.environ | known
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def count(engine: Engine, what: str = "*") -> int:
    with transaction(engine) as connection:
        return int(connection.execute(text(f"SELECT count({what}) FROM effects")).scalar_one())


def test_a_bulk_replay_after_a_fix_has_every_effect_once(operations_worker: OperationsWorker, engine: Engine) -> None:
    with consumer(operations_worker, engine), operations_worker.worker(LOG_LEVEL="WARNING"):
        for _ in range(EVENTS):
            event = sample()
            known = dict(headers(event_id=event.id, event_type=event.type, correlation_id="c"))
            operations_worker.publish(QUEUE, event.to_json().encode(), content_type=CONTENT_TYPE, headers=known)
        filed = {"status": "filed", "error_name": "BugError", "reason": "attempts_exhausted"}
        wait_until(lambda: operations_worker.database["letters"].count_documents(filed) == EVENTS, SECONDS)
        assert count(engine) == 0

        with transaction(engine) as connection:
            connection.execute(text("INSERT INTO switches VALUES ('mended')"))
        job = usecases.start_job(operations_worker.database, new_id(), Filter(error="BugError"), by="ann", rate=500)
        wait_until(lambda: usecases.get_job(operations_worker.database, job.id).status == "done", SECONDS)
        wait_until(lambda: count(engine) == EVENTS, SECONDS)

        for letter in operations_worker.letters()[:50]:  # fifty of them a second time
            usecases.request_replay(operations_worker.database, letter["_id"], by="ann", event=None)
        wait_until(lambda: operations_worker.database["letters"].count_documents({"status": "replayed"}) == EVENTS)
        wait_until(lambda: operations_worker.waiting(QUEUE) == 0)
    job = usecases.get_job(operations_worker.database, job.id)
    assert (job.total, job.replayed, job.failed) == (EVENTS, EVENTS, 0)
    assert (count(engine), count(engine, "DISTINCT event_id")) == (EVENTS, EVENTS)
    assert operations_worker.waiting(topology.DEAD_LETTERS) == 0
