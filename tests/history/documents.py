"""Collections with a long history, in the format of `services.archive` and `services.operations`.

Like in the tables of `filling.py`, rare values are old.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from common.messaging.events import rfc3339
from common.storage.document_migrations import upgrade
from services.archive import migrations as archive
from services.operations import migrations as operations
from tests.history.filling import OPEN_ROWS, RARE_ROWS, ROWS, id_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database

    Document = dict[str, Any]

EVENTS_OF_AN_ORDER = 10
QUEUES = ("orders.events", "payments.events", "archive.events", "inventory.events")
TYPES = ("order.placed.v1", "order.confirmed.v1", "stock.reserved.v1", "payment.captured.v1", "stock.sold.v1")
ERRORS = ("builtins.KeyError", "services.payments.domain.BadError", "common.errors.Rejected")
RARE_QUEUE, RARE_TYPE, RARE_ERROR = "users.events", "user.registered.v1", "builtins.OSError"
OLD_JOB = "job-1"
_START = datetime(2026, 1, 1, tzinfo=UTC)


def moment(number: int) -> str:
    return rfc3339(_START + timedelta(seconds=number))


def fill(database: Database[Document]) -> None:
    """Create both contexts' collections and fill them."""
    for migrations in (archive, operations):
        upgrade(migrations, database, wait_seconds=60)
    for collection, make in (
        ("events", _event),
        ("letters", _letter),
        ("jobs", _job),
        ("audits", _audit),
        ("acts", _act),
    ):
        database[collection].insert_many([make(number) for number in _numbers()], ordered=False)


def _numbers() -> Iterator[int]:
    return iter(range(1, ROWS + 1))


def _event(number: int) -> Document:
    order = id_of(number // EVENTS_OF_AN_ORDER)
    kind = RARE_TYPE if number <= OPEN_ROWS else TYPES[number % len(TYPES)]
    return {
        "_id": id_of(number),
        "source": f"/services/{kind.partition('.')[0]}s",
        "type": kind,
        "subject": order,
        "orderid": order,
        "customer_id": f"customer-{number // EVENTS_OF_AN_ORDER % 200}",
        "time": moment(number),
        "at": moment(number),
        "received_at": moment(number),
        "sequence": number % EVENTS_OF_AN_ORDER + 1,
        "correlationid": "r",
        "data": "{}",
        "position": number,
    }


def _letter(number: int) -> Document:
    is_rare = number <= OPEN_ROWS
    error = RARE_ERROR if is_rare else ERRORS[number % len(ERRORS)]
    # Many events wait, and none of them is of the first type.
    waits = is_rare or number % len(TYPES) == 1
    status = "filed" if waits else "discarded" if number <= RARE_ROWS else "replayed"
    return {
        "_id": id_of(number),
        "event_id": id_of(number),
        "queue": RARE_QUEUE if is_rare else QUEUES[number % len(QUEUES)],
        "event_type": RARE_TYPE if is_rare else TYPES[number % len(TYPES)],
        "error_class": error,
        "error_name": error.rpartition(".")[2],
        "error": "a bug",
        "reason": "attempts_exhausted",
        "traceback": "Traceback",
        "attempts": 4,
        "failed_at": moment(number),
        "filed_at": moment(number),
        "last_filed_at": moment(number),
        "headers": "{}",
        "status": status,
        "body": b"{}",
        "body_sha256": f"{number:064x}",
        "body_bytes": 2,
        "history": [],
        "deaths": [f"death-{number}"],
        "jobs": [f"job-{1 + number // 100}"],
    } | ({"failed_jobs": [f"job-{1 + number // 100}"]} if number % 50 == 0 else {})


def _job(number: int) -> Document:
    return {
        "_id": f"job-{number}",
        "by": "operator",
        "requested_at": moment(number),
        "finished_at": moment(number),
        "query": {"status": "filed"},
        "filter": {},
        "rate": 10.0,
        "total": 100,
    }


def _act(number: int) -> Document:
    return {
        "_id": id_of(number),
        "created_at": datetime.now(UTC),
        "at": moment(number),
        "kind": "refund",
        "subjects": [id_of(number // 5), id_of(number)],
        "by": "operator",
        "name": "operator",
        "reason": "",
        "outcome": "done",
    }


def _audit(number: int) -> Document:
    at = datetime.now(UTC) - timedelta(seconds=ROWS - number)
    return {"_id": id_of(number), "created_at": at, "at": rfc3339(at), "by": "o", "orders": 1, "promises": []}
