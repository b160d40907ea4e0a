"""The pages of dead letters: groups by error and consumer, one in full, replays of one or of a group, discarding."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import request

from common.messaging.events import new_id
from common.web.app_factory import context
from common.web.pagination import Page, render_page
from services.operations import usecases
from services.operations.console import acting, forms, letter_outcomes
from services.operations.console.blueprint import blueprint, done, operator_id, render
from services.operations.console.order_history import pretty
from services.operations.domain import Filter, Status
from services.operations.rendering import render_job, render_letter, render_summary

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

PAGE = 25
MIN_RATE, MAX_RATE = 0.1, 1000.0
_FILTERS = ("queue", "type", "error")


@blueprint.get("/console/dead-letters")
def list_dead_letters() -> ResponseReturnValue:
    query = {name: request.args.get(name, "") for name in _FILTERS}
    status = Status(request.args["status"]) if request.args.get("status") in list(Status) else Status.FILED
    after = request.args.get("starting_after")
    page = Page(PAGE, forms.known_id(after) if after else None)
    with context().store.use() as database:
        groups = usecases.list_groups(database, status)
        found = usecases.list_letters(database, _filter(query, status), page)
    return render(
        "dead_letters.html",
        groups=groups,
        page=render_page([render_summary(letter) for letter in found], page),
        query=query | {"status": status.value},
        statuses=list(Status),
        key=new_id(),
        is_invalid=letter_outcomes.is_invalid,
    )


@blueprint.get("/console/dead-letters/<letter_id>")
def show_dead_letter(letter_id: str) -> ResponseReturnValue:
    with context().store.use() as database:
        letter = render_letter(usecases.get_letter(database, forms.known_id(letter_id)))
        edit = letter_outcomes.last_edit(letter["history"])
        edited = usecases.get_edit(database, edit["edited_sha256"]) if edit else None
    return render(
        "dead_letter.html",
        letter=letter,
        event=pretty(letter["event"]) if letter["event"] else None,
        edit=edit,
        edited=pretty(json.loads(edited)) if edited else None,
        outcome=letter_outcomes.outcome(letter),
        expected_outcome=letter_outcomes.expected_outcome(letter),
        arrivals=letter_outcomes.arrivals(letter["history"]),
    )


@blueprint.post("/console/dead-letters/<letter_id>/replay")
def replay_dead_letter(letter_id: str) -> ResponseReturnValue:
    """Replay it as it is, or the edited event in its place. The page then shows the outcome."""
    event = forms.event("event") if "event" in request.form else None
    with context().store.use() as database:
        replay = partial(usecases.request_replay, database, forms.known_id(letter_id), by=operator_id(), event=event)
        acting.record("replay" if event is None else "replay an edited event", replay, on=[letter_id])
    return done("show_dead_letter", None, letter_id=letter_id)


@blueprint.post("/console/dead-letters/<letter_id>/discard")
def discard_dead_letter(letter_id: str) -> ResponseReturnValue:
    reason = forms.text("reason")
    with context().store.use() as database:
        discard = partial(usecases.discard_letter, database, forms.known_id(letter_id), by=operator_id(), reason=reason)
        acting.record("discard", discard, on=[letter_id], reason=reason)
    return done("show_dead_letter", "discarded", letter_id=letter_id)


@blueprint.post("/console/dead-letters/replay")
def replay_group() -> ResponseReturnValue:
    """Replay all matching undecided ones, at a rate."""
    criteria = _filter({name: request.form.get(name, "") for name in _FILTERS}, None)
    rate = forms.number("rate", MIN_RATE, MAX_RATE)
    with context().store.use() as database:
        start = partial(usecases.start_job, database, forms.key(), criteria, by=operator_id(), rate=rate)
        job = acting.record("replay a group of dead letters", start, on=[])
    return done("show_replay", None, job_id=job.id)


@blueprint.get("/console/dead-letters/replays/<job_id>")
def show_replay(job_id: str) -> ResponseReturnValue:
    with context().store.use() as database:
        job: dict[str, Any] = render_job(usecases.get_job(database, forms.known_id(job_id)))
    return render("replay.html", job=job)


def _filter(query: dict[str, str], status: Status | None) -> Filter:
    return Filter(**{name: value or None for name, value in query.items()}, status=status)
