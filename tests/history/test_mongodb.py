"""No MongoDB query scans a growing collection or sorts in memory."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from common.messaging.events import from_json, new_id
from common.messaging.inbox import AlreadyHandled, Delivery
from common.tests.document_plans import explained_database
from common.web import document_replies as replies
from common.web.idempotency import RequestKey
from common.web.pagination import Page
from services.archive import domain as archive_domain
from services.archive import usecases as archive
from services.archive.backfill import assign_missing_positions
from services.archive.event_log import EventLog
from services.operations import audits, groups, jobs, models, operator_actions, usecases
from services.operations.domain import Filter, Status
from services.operations.tests.dead_letters import dead, happening
from tests.history import documents
from tests.history.filling import RARE_ROWS, ROWS, id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo.database import Database

    Database_ = Database[dict[str, Any]]
    Run = Callable[[Database_], object]

pytestmark = pytest.mark.integration
MAX_DOCUMENTS = 200
CURSORS = (None, id_of(ROWS // 2), id_of(RARE_ROWS + 500))
# Queries that deliberately read an index to its end, but not the documents.
COUNTS = {
    "dead letters by queue and status": "each dead letter is counted, up to MAX_COUNTED of a status",
    "dead letters that wait": "likewise",
    "groups of dead letters": "likewise",
}


def _events() -> dict[str, Run]:
    subject, source = id_of(ROWS // 20), "/services/orders"
    filters: list[dict[str, str]] = [
        {},
        {"subject": subject},
        {"subject": "unknown"},
        {"subject": subject, "type": documents.TYPES[0]},
        {"type": documents.TYPES[0]},
        {"type": documents.RARE_TYPE},
        {"type": documents.TYPES[0], "source": source},
        {"source": source},
        {"source": "unknown"},
    ]
    sinces = (None, documents.moment(0), documents.moment(ROWS - 5))
    return {
        f"events {criteria} after {cursor} since {since}": partial(
            lambda database, criteria, page: archive.list_events(database, archive_domain.Filter(**criteria), page),
            criteria=criteria if since is None else criteria | {"since": since},
            page=Page(10, cursor),
        )
        for criteria, since, cursor in product(filters, sinces, CURSORS)
    }


def _dead_letters() -> dict[str, Run]:
    queues = (None, documents.QUEUES[0], documents.RARE_QUEUE, "unknown")
    types = (None, documents.TYPES[0], documents.RARE_TYPE)
    errors = (None, documents.ERRORS[0], documents.RARE_ERROR, documents.RARE_ERROR.rpartition(".")[2], "KeyError")
    criteria = [
        Filter(queue=queue, type=kind, error=error, status=status)
        for queue, kind, error, status in product(queues, types, errors, (None, *Status))
    ]
    return {
        f"dead letters {each} after {cursor}": partial(
            lambda database, criteria, cursor: models.page(database, criteria, before=cursor, limit=10),
            criteria=each,
            cursor=cursor,
        )
        for each, cursor in product(criteria, CURSORS)
    }


def _archive_the_same_twice(database: Database_) -> None:
    log, delivery = EventLog(database), Delivery("archive", from_json(happening(id=new_id()).to_json().encode()))
    archive.file_event(log, delivery, customer_id="customer-1")
    with pytest.raises(AlreadyHandled):
        archive.file_event(log, delivery, customer_id="customer-1")


def _return_a_letter(database: Database_) -> None:
    event = happening(id=new_id())
    for attempt in (1, 2):
        usecases.file_letter(database, dead(event, attempt=attempt))


def _replay_in_bulk(database: Database_) -> None:
    job_id = new_id()
    usecases.start_job(database, job_id, Filter(queue=documents.RARE_QUEUE), by="operator", rate=10.0)
    job = usecases.running_job(database, "worker")
    assert job is not None
    while usecases.advance_job(database, job, 2):
        found = usecases.claim_replays(database, "worker", limit=2)
        usecases.settle_replays(database, {replay.id: (replay, "published") for replay in found})
    usecases.get_job(database, job_id)


def _replies(database: Database_) -> None:
    key = RequestKey("caller", new_id(), "f")
    replies.release(database, key, replies.claim(database, key))


def _act(database: Database_) -> None:
    act_id = operator_actions.begin(database, "cancel the order", [id_of(7)], by="operator", name="operator")
    operator_actions.finish(database, act_id, operator_actions.DONE)


OTHERS: dict[str, Run] = {
    "timeline": partial(archive.get_timeline, order_id=id_of(7), customer_id="customer-7"),
    "filing an event": _archive_the_same_twice,
    "assigning missing positions": partial(assign_missing_positions, seconds=1.0),
    "one dead letter": partial(usecases.get_letter, letter_id=id_of(7)),
    "replaying one": partial(usecases.request_replay, letter_id=id_of(RARE_ROWS), by="operator", event=None),
    "discarding one": partial(usecases.discard_letter, letter_id=id_of(ROWS), by="operator", reason="r"),
    "filing a dead letter": _return_a_letter,
    "a bulk replay": _replay_in_bulk,
    "the progress of a job": partial(jobs.get, job_id=documents.OLD_JOB),
    "dead letters that wait": groups.waiting,
    "dead letters by queue and status": groups.counts,
    "groups of dead letters": partial(groups.largest, status=Status.FILED, limit=50),
    "the dead letters of an order": partial(models.page, criteria=Filter(order_id=id_of(7)), before=None, limit=10),
    "the last audit": audits.last,
    "an act": _act,
    "the latest acts": partial(operator_actions.latest, limit=10),
    "the latest acts on an order": partial(operator_actions.of_subject, subject=id_of(7), limit=10),
    "the latest audits": partial(audits.latest, limit=10),
    "kept replies": _replies,
}
RUNS = _events() | _dead_letters() | OTHERS


@pytest.fixture(scope="module")
def filled(servers: Any) -> Iterator[str]:
    """The URL of a database that is filled once."""
    name = f"test_{new_id().replace('-', '')}"
    url = servers.mongodb_url.replace("/archive?", f"/{name}?")
    with MongoClient[dict[str, Any]](url) as client:
        documents.fill(client[name])
        yield url
        client.drop_database(name)


def test_no_query_reads_a_whole_collection(filled: str) -> None:
    problems = []
    with explained_database(filled) as (database, readings):
        for name, run in RUNS.items():
            readings.clear()
            run(database)
            for reading in readings:
                most = 0 if name in COUNTS else MAX_DOCUMENTS
                is_read_whole = {"COLLSCAN", "SORT"} & reading.stages or reading.documents > most
                if is_read_whole or (reading.keys > 2 * MAX_DOCUMENTS and name not in COUNTS):
                    problems.append(f"{name}: {reading}")
    assert not problems, f"{len(problems)} of {len(RUNS)}, such as " + "\n".join(
        problems[:: max(1, len(problems) // 20)]
    )
