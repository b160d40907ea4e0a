"""The page of the promises: the results of the last audits, the inconsistent resources, and on a local stack a button
for a new audit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.schemas import is_id
from common.web.app_factory import context
from services.operations import usecases
from services.operations.console import forms
from services.operations.console.blueprint import blueprint, done, render, session
from services.operations.console.contexts import CONTROL, ContextDownError

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

AUDITS = 50
RUNNING_SECONDS, REFRESH_SECONDS = 1, 10
PROMISES = {
    "P1": "Nothing accepted is lost",
    "P2": "Nothing happens twice",
    "P3": "Stock is conserved and never oversold",
    "P4": "Money is conserved",
    "P5": "No event disappears",
    "P6": "Subscribers are notified at least once",
    "P7": "An outage is not an error",
}


@blueprint.get("/console/promises")
def list_promises() -> ResponseReturnValue:
    run, error = _run()
    is_running = run is not None and run["state"] == "running"
    with context().store.use() as database:
        audits = usecases.list_audits(database, AUDITS)
        last = usecases.show_audit(database, audits[0]["id"]) if audits else None
    return render(
        "promises.html",
        audits=audits,
        last=last,
        promises=PROMISES,
        has_control=context().contexts.has_control,
        run=run,
        error=error,
        is_running=is_running,
        is_id=is_id,
        refresh_seconds=RUNNING_SECONDS if is_running else REFRESH_SECONDS,
    )


@blueprint.get("/console/promises/<audit_id>")
def show_audit(audit_id: str) -> ResponseReturnValue:
    with context().store.use() as database:
        audit = usecases.show_audit(database, forms.known_id(audit_id))
    return render("audit.html", last=audit, promises=PROMISES, is_id=is_id)


@blueprint.post("/console/promises/audits")
def run_audit() -> ResponseReturnValue:
    """Request it from the control process, with this operator's token: operations may not read what an audit reads."""
    context().contexts.post(CONTROL, "/control/audits", session().token)
    return done("list_promises", "auditing")


def _run() -> tuple[dict[str, Any] | None, ContextDownError | None]:
    if not context().contexts.has_control:
        return None, None
    try:
        return context().contexts.get(CONTROL, "/control", session().token)["audit"], None
    except ContextDownError as error:
        return None, error
