"""The page of cases: refunds that the payment provider refuses, with their buttons, and events that are undecided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

from common.messaging.events import new_id
from common.web.app_factory import context
from services.operations import usecases
from services.operations.console import forms
from services.operations.console.blueprint import blueprint, done, render, session
from services.operations.console.contexts import ContextDownError

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

PAGE = 25


@blueprint.get("/console/cases")
def list_cases() -> ResponseReturnValue:
    after, page, error = request.args.get("starting_after"), None, None
    try:
        page = context().contexts.get(
            "payments", "/payments/standing-cases", session().token, limit=PAGE, starting_after=after
        )
    except ContextDownError as raised:
        error = raised
    view = usecases.show_system(context().store, context().monitor)
    return render("cases.html", page=page, error=error, undecided=view["undecided"], key=new_id())


@blueprint.post("/console/cases/<payment_id>/retry")
def retry_refund(payment_id: str) -> ResponseReturnValue:
    _post(payment_id, "retry", {"reason": forms.text("reason")})
    return done("list_cases", "retried")


@blueprint.post("/console/cases/<payment_id>/record")
def record_refund(payment_id: str) -> ResponseReturnValue:
    """Money came back another way: by a transfer with a reference, or by a refund made at the provider."""
    body: dict[str, Any] = {"reason": forms.text("reason")} | forms.amount()
    for name in ("reference", "provider_refund_id"):
        if value := forms.text(name, required=False):
            body[name] = value
    _post(payment_id, "record", body)
    return done("list_cases", "recorded")


def _post(payment_id: str, act: str, body: dict[str, Any]) -> None:
    path = f"/payments/{forms.known_id(payment_id)}/refunds/{act}"
    context().contexts.post("payments", path, session().token, body, Idempotency_Key=forms.key())
