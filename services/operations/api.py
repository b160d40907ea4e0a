"""The routes of dead letters, for operators: parse, call one use case, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.errors import NotFound
from common.messaging.events import InvalidEventError
from common.schemas import is_id
from common.security.auth import caller, operators_only
from common.web import document_replies
from common.web import request as http
from common.web.app_factory import context
from common.web.error_responses import raises
from common.web.openapi import LOCATION, Blueprint
from common.web.pagination import Page, page_schema, render_page
from services.operations import usecases
from services.operations.domain import Filter, Status
from services.operations.rendering import render_job, render_letter, render_summary
from services.operations.schemas import (
    BulkReplaySchema,
    DiscardSchema,
    JobSchema,
    LetterDetailSchema,
    LetterSchema,
    LettersQuerySchema,
    ReplaySchema,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from common.storage.mongodb import Store
    from common.web.idempotency import Reply

    Documents = Database[dict[str, Any]]

blueprint = Blueprint(
    "dead-letters", __name__, url_prefix="/api/v1/dead-letters", description="Messages that no consumer could handle"
)


@blueprint.route("", methods=["GET"])
@operators_only
@blueprint.arguments(LettersQuerySchema, location="query")
@blueprint.response(200, page_schema(LetterSchema))
@raises(usecases.UnknownCursorError)
def list_letters(query: dict[str, Any]) -> dict[str, Any]:
    """List dead letters, newest first (operators only)."""
    page: Page = query.pop("page")
    with _store().use() as database:
        found = usecases.list_letters(database, _filter(query), page)
    return render_page([render_summary(letter) for letter in found], page)


@blueprint.route("/<letter_id>", methods=["GET"])
@operators_only
@blueprint.response(200, LetterDetailSchema)
def get_letter(letter_id: str) -> dict[str, Any]:
    """One dead letter, with its event, error and history."""
    with _store().use() as database:
        return render_letter(usecases.get_letter(database, _id(letter_id)))


@blueprint.route("/<letter_id>/replay", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(ReplaySchema, required=False)
@blueprint.response(202, LetterDetailSchema)
@raises(usecases.NotReplayableError, usecases.OnItsWayError, InvalidEventError)
def replay_letter(body: dict[str, Any], letter_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Replay it to the queue in which it failed; with `event`, send that instead and keep the original.

    The response is 202: a worker executes the replay. `history` has the outcome. Requesting it twice is harmless.
    """

    def act(database: Documents, _: str) -> dict[str, Any]:
        letter = usecases.request_replay(database, _id(letter_id), by=caller().id, event=body.get("event"))
        return render_letter(letter)

    return http.render(_once(202, act))


@blueprint.route("/<letter_id>/discard", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(DiscardSchema)
@blueprint.response(200, LetterDetailSchema)
@raises(usecases.OnItsWayError)
def discard_letter(body: dict[str, Any], letter_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Discard it: it needs no decision any more. The record is kept, and can still be replayed."""

    def act(database: Documents, _: str) -> dict[str, Any]:
        letter = usecases.discard_letter(database, _id(letter_id), by=caller().id, reason=body["reason"])
        return render_letter(letter)

    return http.render(_once(200, act))


@blueprint.route("/replay", methods=["POST"])
@operators_only
@blueprint.idempotent()
@blueprint.arguments(BulkReplaySchema)
@blueprint.response(202, JobSchema, headers=LOCATION)
def replay_letters(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Replay all matching dead letters with status `filed`, at most `rate` per second.

    Dead letters that return during the replay are not replayed again. Progress: GET /dead-letters/replays/{id}.
    """

    def act(database: Documents, job_id: str) -> dict[str, Any]:
        rate = body.pop("rate")
        return render_job(usecases.start_job(database, job_id, _filter(body), by=caller().id, rate=rate))

    reply = _once(202, act)
    reply.headers["Location"] = f"/api/v1/dead-letters/replays/{reply.body['id']}"
    return http.render(reply)


@blueprint.route("/replays/<job_id>", methods=["GET"])
@operators_only
@blueprint.response(200, JobSchema)
def get_job(job_id: str) -> dict[str, Any]:
    """The progress of a bulk replay."""
    if not is_id(job_id):
        raise NotFound("no such bulk replay")
    with _store().use() as database:
        return render_job(usecases.get_job(database, job_id))


def _once(status: int, act: Callable[[Documents, str], dict[str, Any]]) -> Reply:
    with _store().use() as database:
        return document_replies.once(database, http.request_key(), status, act)


def _store() -> Store:
    store: Store = context().store
    return store


def _filter(values: dict[str, Any]) -> Filter:
    status = values.get("status")
    return Filter(**values | {"status": Status(status) if status else None})


def _id(letter_id: str) -> str:
    if not is_id(letter_id):
        raise NotFound("no such dead letter")
    return letter_id
