"""The job that creates the archive's collection and indexes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import Unavailable, classify
from common.storage.document_migrations import upgrade
from common.storage.mongodb import connect
from common.tests.tcp_proxy import Link
from services.archive import migrations
from services.archive.models import COLLECTION, INDEXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database

pytestmark = pytest.mark.integration


@pytest.fixture
def empty(document_store: str) -> Iterator[Database[dict[str, Any]]]:
    database = connect(document_store, timeout_seconds=60, name="test", pool_size=8)
    yield database
    database.client.close()


def start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.archive.migrations"],
        env={"PATH": os.environ["PATH"], "MONGODB_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_it_creates_all_indexes_when_run_twice_concurrently(
    empty: Database[dict[str, Any]], document_store: str
) -> None:
    jobs = [start(document_store), start(document_store)]
    outputs = [job.communicate(timeout=60)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], outputs
    found = set(empty[COLLECTION].index_information())
    assert found == {"_id_"} | {str(index.document["name"]) for index in INDEXES}


def test_jobs_that_create_a_collection_concurrently_all_succeed(empty: Database[dict[str, Any]]) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: upgrade(migrations, empty, wait_seconds=60), range(8)))
    assert made == [made[0]] * 8


def test_it_waits_for_a_starting_server(document_store: str) -> None:
    with Link(document_store) as link:
        link.cut()
        job = start(link.url)
        time.sleep(2.0)
        assert job.poll() is None
        link.restore()
        output, _error = job.communicate(timeout=60)
    assert job.returncode == 0, output


def test_an_unreachable_server_is_reported_in_time(document_store: str) -> None:
    with Link(document_store) as link:
        link.cut()
        database = connect(link.url, timeout_seconds=0.5, name="test", pool_size=1)
        started = time.monotonic()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the driver calls it
            upgrade(migrations, database, wait_seconds=1.0)
        assert classify(caught.value) is Unavailable
        assert time.monotonic() - started < 29  # the driver's own time-out is 30 s
        database.client.close()


def test_it_gives_positions_to_events_that_have_none(empty: Database[dict[str, object]], document_store: str) -> None:
    empty[COLLECTION].insert_many([{"_id": f"{number}", "received_at": f"{number}"} for number in range(5)])
    jobs = [start(document_store), start(document_store)]
    outputs = [job.communicate(timeout=60)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], outputs
    found = empty[COLLECTION].find().sort("position")
    assert [(document["_id"], document["position"]) for document in found] == [(f"{n}", n + 1) for n in range(5)]
