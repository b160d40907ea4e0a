"""The page Break something: faults on a local stack, one at a time, each with a duration.

Operations injects nothing: it passes the form on to the control process, with the token of the operator who sent it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.web.app_factory import context
from services.operations.console import forms
from services.operations.console.blueprint import blueprint, done, render, session
from services.operations.console.contexts import CONTROL, ContextDownError
from services.operations.console.now import read_now

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

SECONDS = (15, 30, 60, 120, 300)
CHOSEN_SECONDS = 60


@blueprint.get("/console/break")
def show_break() -> ResponseReturnValue:
    reading = read_now() if context().contexts.has_control else None
    control = reading.control if reading else None
    return render(
        "break.html",
        control=control if isinstance(control, dict) else None,
        error=control if isinstance(control, ContextDownError) else None,
        picture=reading.picture if reading else None,
        seconds=SECONDS,
        chosen_seconds=CHOSEN_SECONDS,
    )


@blueprint.post("/console/break")
def inject_fault() -> ResponseReturnValue:
    body = {
        "fault": forms.text("fault"),
        "target": forms.text("target", required=False),
        "seconds": forms.number("seconds", SECONDS[0], SECONDS[-1]),
    }
    context().contexts.post(CONTROL, "/control/faults", session().token, body)
    return done("show_break", "injected")


@blueprint.post("/console/break/undo")
def undo_fault() -> ResponseReturnValue:
    reply = context().contexts.post(CONTROL, "/control/undo", session().token)
    return done("show_break", "undone" if reply["undone"] else "undoing")
