"""The page Now: current problems, throughput, and an overview of the whole system."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from common.web.app_factory import context
from services.operations import usecases
from services.operations.console import curves
from services.operations.console.blueprint import blueprint, render, session
from services.operations.console.contexts import CONTROL, ContextDownError, failing_services
from services.operations.console.overview import Overview, overview, undecided, waiting_letters

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

WEBHOOKS = 25


@dataclass(frozen=True, slots=True)
class Reading:
    """The data of the page Now. `control` is the reply of a local stack's control process, None elsewhere."""

    view: dict[str, Any]
    picture: Overview
    control: dict[str, Any] | ContextDownError | None

    @property
    def fault(self) -> dict[str, Any] | None:
        """The active injected fault of this local stack."""
        return self.control["active"] if isinstance(self.control, dict) else None


def read_now() -> Reading:
    """Read the data of the page Now, also for pages that repeat parts of it."""
    view = usecases.show_system(context().store, context().monitor)
    api, token = context().contexts, session().token
    reads = api.ready_checks() | {
        "webhooks": partial(api.get, "notifications", "/webhook-endpoints", token, health="failing", limit=WEBHOOKS)
    }
    if api.has_control:
        reads["control"] = partial(api.get, CONTROL, "/control", token)
    found = api.read_all(**reads)
    failing = found["webhooks"]["data"] if isinstance(found["webhooks"], dict) else []
    control = found.get("control")
    return Reading(
        view,
        overview(view, failing_services(found), failing),
        control if isinstance(control, dict | ContextDownError) else None,
    )


@blueprint.get("/")
def show_now() -> ResponseReturnValue:
    """It never fails because of a dependency; it shows which ones do not answer."""
    reading = read_now()
    view = reading.view
    points = context().trends.points
    return render(
        "now.html",
        view=view,
        picture=reading.picture,
        fault=reading.fault,
        letters=waiting_letters(view),
        undecided=sum(each["items"] for each in undecided(view)),
        breakers=sorted(view["breakers"], key=lambda each: each["state"] == "closed"),
        rates=curves.rates(points),
        confirmation=curves.confirmation(points),
        width=curves.WIDTH,
        height=curves.HEIGHT,
    )
