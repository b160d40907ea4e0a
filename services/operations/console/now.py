"""The page Now: what fails, how much flows, and the whole system in one picture."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from common.web.app_factory import context
from services.operations import usecases
from services.operations.console import curves
from services.operations.console.blueprint import blueprint, render, session
from services.operations.console.contexts import failing_services
from services.operations.console.overview import overview, waiting_letters

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

WEBHOOKS = 25


@blueprint.get("/")
def show_now() -> ResponseReturnValue:
    """It never fails because of a dependency; it shows which ones do not answer."""
    view = usecases.show_system(context().store, context().monitor)
    api = context().contexts
    webhooks = partial(
        api.get, "notifications", "/webhook-endpoints", session().token, health="failing", limit=WEBHOOKS
    )
    found = api.read_all(webhooks=webhooks, **api.ready_checks())
    failing = found["webhooks"]["data"] if isinstance(found["webhooks"], dict) else []
    points = context().trends.points
    return render(
        "now.html",
        view=view,
        picture=overview(view, failing_services(found), failing),
        letters=waiting_letters(view),
        undecided=sum(each["items"] for each in view["undecided"]),
        rates=curves.rates(points),
        confirmation=curves.confirmation(points),
        width=curves.WIDTH,
        height=curves.HEIGHT,
    )
