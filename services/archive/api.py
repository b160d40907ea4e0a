"""The routes of the archive: parse, call one use case, render."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flask import request

from common.errors import NotFound
from common.schemas import is_id
from common.security.auth import caller, operators_only
from common.web.app_factory import context
from common.web.error_responses import raises
from common.web.openapi import Blueprint
from common.web.pagination import Page, page_schema, render_page
from services.archive import usecases
from services.archive.domain import Filter, summary
from services.archive.schemas import ArchivedEventSchema, EventsQuerySchema, TimelineEntrySchema

if TYPE_CHECKING:
    from common.storage.mongodb import Store
    from services.archive.domain import Entry, Step

blueprint = Blueprint("archive", __name__, url_prefix="/api/v1", description="The timeline of orders, and all events")


@blueprint.route("/orders/<order_id>/timeline", methods=["GET"])
@blueprint.response(200, page_schema(TimelineEntrySchema))
def get_timeline(order_id: str) -> dict[str, Any]:
    """The events of an order, oldest first.

    Returns the first 1,000 events; `has_more` says whether there are more (operators find them at /events). The
    timeline is available a moment after the order was accepted; until then, and for an order that is not yours, 404.
    """
    if not is_id(order_id):
        raise NotFound("no such order")
    customer_id = caller().viewer_id
    with _store().use() as database:
        timeline = usecases.get_timeline(database, order_id, customer_id=customer_id)
    return {
        "object": "list",
        "data": [_render_step(step) for step in timeline.steps],
        "has_more": timeline.has_more,
        "url": request.path,
    }


@blueprint.route("/events", methods=["GET"])
@operators_only
@blueprint.arguments(EventsQuerySchema, location="query")
@blueprint.response(200, page_schema(ArchivedEventSchema))
@raises(usecases.UnknownCursorError)
def list_events(query: dict[str, Any]) -> dict[str, Any]:
    """List the events of all sources, newest first (operators only)."""
    page: Page = query.pop("page")
    with _store().use() as database:
        entries = usecases.list_events(database, Filter(**query), page)
    return render_page([asdict(entry) for entry in entries], page)


def _store() -> Store:
    store: Store = context()
    return store


def _render_step(step: Step) -> dict[str, Any]:
    entry: Entry = step.entry
    return {
        "id": entry.id,
        "type": entry.type,
        "source": entry.source,
        "sequence": entry.sequence,
        "time": entry.time,
        "delay_seconds": step.delay_seconds,
        "summary": summary(entry),
        "data": entry.data,
    }
