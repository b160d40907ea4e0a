"""The kinds of malformed messages. Each message is unique, so that it can be found again."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EVENT = "application/cloudevents+json"
CELERY = {"task": "holdfast.handle", "lang": "py"}
NESTED = 20_000
LARGE_BYTES = 400_000

Message = tuple[bytes, dict[str, Any]]


def _event(mark: str, **changes: Any) -> dict[str, Any]:
    """A valid event, except for `changes`; None removes a member. Its type has consumers in every context, or in
    none.
    """
    order = str(uuid.uuid5(uuid.NAMESPACE_OID, mark))
    whole = {
        "specversion": "1.0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, mark)),
        "source": "/services/orders",
        "type": "order.confirmed.v1",
        "subject": order,
        "time": "2026-11-02T10:00:00.000000Z",
        "datacontenttype": "application/json",
        "correlationid": mark,
        "causationid": mark,
        "orderid": order,
        "sequence": 1,
        "data": {"order_id": order, "customer_id": order, "total": {"amount": 100, "currency": "usd"}},
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def _wrong(**changes: Any) -> Callable[[str], Message]:
    def make(mark: str) -> Message:
        event = _event(mark, **changes)
        headers = CELERY | {"id": str(event.get("id")), "shadow": str(event.get("type"))}
        return json.dumps(event).encode(), {"content_type": EVENT, "headers": headers}

    return make


def _bytes(make: Callable[[str], bytes], **properties: Any) -> Callable[[str], Message]:
    return lambda mark: (make(mark), {"content_type": EVENT, "headers": dict(CELERY)} | properties)


def _noise(mark: str) -> bytes:
    return random.Random(mark).randbytes(64)


def _text(mark: str) -> bytes:
    return json.dumps(_event(mark)).encode()


KINDS: Mapping[str, Callable[[str], Message]] = {
    "random bytes": _bytes(_noise),
    "half a document": _bytes(lambda mark: _text(mark)[: len(mark) + 60]),
    "invalid UTF-8": _bytes(lambda mark: _text(mark).replace(b"order.confirmed", b"order\xff\xfeconfirmed")),
    "a list": _bytes(lambda mark: json.dumps([mark, {}, {}]).encode()),
    "a text": _bytes(lambda mark: json.dumps(mark).encode()),
    "a number": _bytes(lambda mark: str(int.from_bytes(_noise(mark), "big")).encode()),
    "nested too deep": _bytes(lambda mark: b"[" * NESTED + json.dumps(mark).encode() + b"]" * NESTED),
    "too large": _bytes(lambda mark: json.dumps(_event(mark, data={"padding": "x" * LARGE_BYTES})).encode()),
    "no properties at all": lambda mark: (mark.encode(), {}),
    "plain text": _bytes(lambda mark: mark.encode(), content_type="text/plain"),
    "a pickle": _bytes(pickle.dumps, content_type="application/x-python-serialize"),
    "a task of Celery's own": _bytes(
        lambda mark: json.dumps([[mark], {}, {}]).encode(), content_type="application/json", content_encoding="utf-8"
    ),
    "compressed": _bytes(
        lambda mark: gzip.compress(_text(mark)), headers=CELERY | {"compression": "application/x-gzip"}
    ),
    "an id that is none": _wrong(id=""),
    "no source": _wrong(source=None),
    "another version of CloudEvents": _wrong(specversion="99"),
    "an unknown type": _wrong(type="unicorn.seen.v1"),
    "an unknown version of a type": _wrong(type="order.confirmed.v99"),
    "data that breaks its schema": _wrong(data={"order_id": None}),
    "a number for a text": _wrong(subject=17),
    "data that is no object": _wrong(data=[1, 2, 3]),
    "a sequence below one": _wrong(sequence=-1),
    "a NUL in a text": _wrong(subject="a\x00b"),
}
# The archive stores every valid event.
FOR_THE_ARCHIVE_AN_EVENT = {"an unknown type", "an unknown version of a type", "data that breaks its schema"}
QUEUES = ("orders.events", "payments.events", "inventory.events", "archive.events")


def queue_for(kind: str, number: int) -> str:
    """Each kind goes to all queues in turn, where it is wrong."""
    queues = QUEUES[:-1] if kind in FOR_THE_ARCHIVE_AN_EVENT else QUEUES
    return queues[number % len(queues)]


def make(kind: str, run: str, number: int) -> Message:
    """Body and AMQP properties of the message `number` of a kind."""
    return KINDS[kind](f"{run}-{kind.replace(' ', '_')}-{number}")
