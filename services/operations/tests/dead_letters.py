"""Dead messages for the tests of operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.messaging.events import CONTENT_TYPE, Event, new_id, rfc3339, utc_now
from common.messaging.raw_message import RawMessage
from services.operations import usecases

if TYPE_CHECKING:
    from pymongo.database import Database

QUEUE = "orders.events"


def happening(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "id": new_id(),
        "source": "/services/payments",
        "type": "payment.captured.v1",
        "subject": "o-1",
        "time": "2026-11-02T09:15:11.300000Z",
        "sequence": 1,
        "correlationid": "request-1",
        "orderid": "o-1",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "data": {"n": 2**70, "a.b": {"$where": None}},
    }
    return Event(**(values | changes))


def dead(event: Event | bytes | None = None, **headers: Any) -> RawMessage:
    """A dead letter as a consumer publishes it, without headers that are None."""
    body = event if isinstance(event, bytes) else (event or happening()).to_json().encode()
    fields = {
        "holdfast-attempt": 4,
        "holdfast-reason": "attempts_exhausted",
        "holdfast-error-class": "builtins.RuntimeError",
        "holdfast-error": "a bug",
        "holdfast-traceback": "Traceback ...",
        "holdfast-queue": QUEUE,
        "holdfast-failed-at": rfc3339(utc_now()),
    } | {f"holdfast-{name.replace('_', '-')}": value for name, value in headers.items()}
    present = {name: value for name, value in fields.items() if value is not None}
    return RawMessage(
        body=body, routing_key=QUEUE, headers=present, content_type=CONTENT_TYPE, content_encoding="utf-8"
    )


def file(database: Database[dict[str, Any]], message: RawMessage | None = None) -> str:
    """Store it; returns the newest dead letter's id."""
    usecases.file_letter(database, message or dead())
    [newest] = database["letters"].find({}, {"_id": 1}).sort("last_filed_at", -1).limit(1)
    return str(newest["_id"])
