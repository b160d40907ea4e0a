"""A dead letter as the API returns it. Pure."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from common.messaging.events import MAX_EVENT_BYTES, InvalidEventError, from_json
from services.operations.schemas import LetterSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.operations.domain import Job
    from services.operations.usecases import Letter

MAX_SHOWN_BYTES = MAX_EVENT_BYTES
_SUMMARY = tuple(name for name in LetterSchema().fields if name != "id")


def render_summary(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": document["_id"]} | {name: document.get(name) for name in _SUMMARY}


def render_letter(letter: Letter) -> dict[str, Any]:
    document = letter.document
    return render_summary(document) | {
        "event": _event(letter.body),
        "body": _body(letter.body) | {"sha256": document["body_sha256"]},
        "headers": json.loads(document["headers"]),
        "content_type": document.get("content_type"),
        "traceback": document["traceback"],
        "history": document["history"],
    }


def render_job(job: Job) -> dict[str, Any]:
    names = ("id", "status", "by", "requested_at", "finished_at", "filter", "rate", "total", "taken", "replayed")
    return {name: getattr(job, name) for name in (*names, "waiting", "failed")}


def _event(body: bytes) -> dict[str, Any] | None:
    if len(body) > MAX_EVENT_BYTES:
        return None
    try:
        from_json(body)
    except InvalidEventError:
        return None
    event: dict[str, Any] = json.loads(body)
    return event


def _body(body: bytes) -> dict[str, Any]:
    shown = body[:MAX_SHOWN_BYTES]
    try:
        text = shown.decode()
    except UnicodeDecodeError:
        encoded = base64.b64encode(shown).decode()
        return {"encoding": "base64", "content": encoded, "truncated": len(body) > len(shown)}
    return {"encoding": "text", "content": text, "truncated": len(body) > len(shown)}
