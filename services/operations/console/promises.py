"""The page of promises: what was promised, and what each audit found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.web.app_factory import context
from services.operations import usecases
from services.operations.console.blueprint import blueprint, render

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

AUDITS = 50
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
    with context().store.use() as database:
        audits = usecases.list_audits(database, AUDITS)
    return render("promises.html", audits=audits, promises=PROMISES)
