"""The page of cases: refunds that the payment provider refuses, with their buttons, and events that are undecided."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flask import request

from common.messaging.events import new_id
from common.schemas import is_id
from common.web.app_factory import context
from services.operations import usecases
from services.operations.console import acting, forms, re_check
from services.operations.console.blueprint import blueprint, done, render, session
from services.operations.console.contexts import ContextDownError, RefusedError

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

PAGE = 25


@blueprint.get("/console/cases")
def list_cases() -> ResponseReturnValue:
    api, token = context().contexts, session().token
    found = api.read_all(
        standing=partial(api.get, "payments", "/payments/standing-cases", token, limit=PAGE, **_cursor("standing")),
        undecided=partial(api.get, "payments", "/payments/undecided", token, limit=PAGE, **_cursor("undecided")),
    )
    for each in found.values():
        if isinstance(each, RefusedError):
            raise each
    errors = [each for each in found.values() if isinstance(each, ContextDownError)]
    pages = {name: None if isinstance(each, ContextDownError) else each for name, each in found.items()}
    events = usecases.show_system(context().store, context().monitor)["undecided"]
    acts = acting.latest_acts()
    return render("cases.html", **pages, error=next(iter(errors), None), events=events, acts=acts, key=new_id())


@blueprint.post("/console/cases/<payment_id>/retry")
def retry_refund(payment_id: str) -> ResponseReturnValue:
    _post("retry the refund", payment_id, "retry", {"reason": forms.text("reason")})
    return done("list_cases", "retried")


@blueprint.post("/console/cases/<payment_id>/record")
def record_refund(payment_id: str) -> ResponseReturnValue:
    """Record money returned another way: by a transfer with a reference, or by a refund made at the provider."""
    body: dict[str, Any] = {"reason": forms.text("reason")} | forms.amount()
    for name in ("reference", "provider_refund_id"):
        if value := forms.text(name, required=False):
            body[name] = value
    _post("record the refund", payment_id, "record", body)
    return done("list_cases", "recorded")


@blueprint.post("/console/cases/<payment_id>/re-check")
def re_check_case(payment_id: str) -> ResponseReturnValue:
    path = f"/payments/{forms.known_id(payment_id)}/re-check"
    reply = acting.post(
        "re-check the payment", "payments", path, on=_subjects(payment_id), result_of=re_check.result_of
    )
    return done("list_cases", re_check.notice_of(reply))


def _cursor(which: str) -> dict[str, str | None]:
    """Each of the two lists has its own pagination."""
    is_its = request.args.get("list") == which
    return {"starting_after": request.args.get("starting_after") if is_its else None}


def _post(kind: str, payment_id: str, act: str, body: dict[str, Any]) -> None:
    path = f"/payments/{forms.known_id(payment_id)}/refunds/{act}"
    acting.post(kind, "payments", path, body, on=_subjects(payment_id), key=forms.key())


def _subjects(payment_id: str) -> list[str]:
    """The payment, and its order if the form names it, so that the act appears in the order's history."""
    order_id = request.form.get("order_id", "")
    return [payment_id, order_id] if is_id(order_id) else [payment_id]
