"""`attempt.failed.v1`: reports a consumer's failed attempt, so that it appears in the order's timeline.

Best effort: it is published with the retry, not through an outbox, so it may be missing. Its `sequence` is the number
of the attempt. Its id is derived from event, consumer and attempt, so publishing it twice is idempotent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from marshmallow import fields

from common.messaging.events import Contract
from common.schemas import Integer, StrictSchema, id_field, text_field

if TYPE_CHECKING:
    from marshmallow import Schema

    from common.messaging.events import Event
    from common.messaging.inbox import Delivery

MAX_ERROR_CHARACTERS = 500
SUMMARY = "A consumer's attempt to handle an event failed; it tries again later."


class AttemptFailed(StrictSchema):
    event_id = id_field(required=True)
    event_type = text_field(high=512, required=True)
    consumer = text_field(high=64, required=True)
    attempt = Integer(required=True)
    error_class = text_field(high=512, required=True)
    error = fields.String(required=True)
    next_try_seconds = Integer(required=True)


SCHEMA: Schema = AttemptFailed()


def attempt_failed(delivery: Delivery, *, attempt: int, error: BaseException, next_try_seconds: int) -> Event:
    """The event that reports a failed attempt (from 1) at a delivery."""
    event, consumer = delivery.event, delivery.consumer
    reported = Contract("attempt.failed.v1", f"/workers/{consumer}", SCHEMA, SUMMARY).event(
        subject=event.subject,
        sequence=attempt,
        data={
            "event_id": event.id,
            "event_type": event.type,
            "consumer": consumer,
            "attempt": attempt,
            "error_class": f"{type(error).__module__}.{type(error).__qualname__}",
            "error": _printable(str(error)),
            "next_try_seconds": next_try_seconds,
        },
        message_context=delivery.message_context,
        order_id=event.orderid,
    )
    return replace(reported, id=str(uuid5(NAMESPACE_URL, f"{event.id}/{consumer}/{attempt}")))


def _printable(text: str) -> str:
    return text[:MAX_ERROR_CHARACTERS].replace("\x00", "").encode("utf-8", "replace").decode()
