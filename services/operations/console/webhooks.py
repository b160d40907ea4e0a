"""The pages of webhooks: endpoints and their responses, deliveries with each attempt, and the possible actions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import make_response, request

from common.messaging.events import new_id, rfc3339
from common.web.app_factory import context
from services.operations.console import acting, forms
from services.operations.console.blueprint import blueprint, done, render, session
from services.operations.console.contexts import ContextDownError, RefusedError
from services.operations.console.webhook_outcomes import outcome

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

PAGE = 25
STATUSES = ("pending", "failed", "delivered", "dismissed")
KEEP_PREVIOUS_SECONDS = {"86400": "a day", "3600": "an hour", "604800": "a week", "0": "not at all"}
RESEND_SECONDS = 86_400.0
_CONTEXT = "notifications"


@blueprint.get("/console/webhooks")
def list_webhooks() -> ResponseReturnValue:
    """Endpoints, newest first; with `health=failing` only those whose last attempt failed."""
    health = "failing" if request.args.get("health") == "failing" else ""
    page, error = None, None
    try:
        page = context().contexts.get(
            _CONTEXT, "/webhook-endpoints", session().token, health=health, limit=PAGE,
            starting_after=request.args.get("starting_after"),
        )  # fmt: skip
    except ContextDownError as raised:
        error = raised
    return render("webhooks.html", page=page, error=error, query={"health": health})


@blueprint.get("/console/webhooks/<endpoint_id>")
def show_webhook(endpoint_id: str) -> ResponseReturnValue:
    return _page(endpoint_id)


@blueprint.post("/console/webhooks/<endpoint_id>/test")
def test_webhook(endpoint_id: str) -> ResponseReturnValue:
    acting.post("send a test event", _CONTEXT, f"{_path(endpoint_id)}/test", on=[endpoint_id], key=forms.key())
    return _redirect_after("tested", endpoint_id)


@blueprint.post("/console/webhooks/<endpoint_id>/enable")
def enable_webhook(endpoint_id: str) -> ResponseReturnValue:
    acting.patch("enable", _CONTEXT, _path(endpoint_id), {"enabled": True}, on=[endpoint_id])
    return _redirect_after("enabled", endpoint_id)


@blueprint.post("/console/webhooks/<endpoint_id>/disable")
def disable_webhook(endpoint_id: str) -> ResponseReturnValue:
    acting.patch("disable", _CONTEXT, _path(endpoint_id), {"enabled": False}, on=[endpoint_id])
    return _redirect_after("disabled", endpoint_id)


@blueprint.post("/console/webhooks/<endpoint_id>/rotate-secret")
def rotate_webhook_secret(endpoint_id: str) -> ResponseReturnValue:
    """Show the new secret in the response itself, because it is not stored in clear."""
    keep = request.form.get("keep", "")
    if keep not in KEEP_PREVIOUS_SECONDS:
        raise forms.FormError("Choose how long the previous secret also signs.")
    body = {"keep_previous_seconds": int(keep)}
    reply = acting.post(
        "rotate the secret", _CONTEXT, f"{_path(endpoint_id)}/rotate-secret", body, on=[endpoint_id], key=forms.key()
    )
    response = make_response(_page(endpoint_id, secret=reply.get("secret"), is_rotated=True))
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/console/webhooks/<endpoint_id>/resend")
def resend_failed_webhooks(endpoint_id: str) -> ResponseReturnValue:
    body = {"since": rfc3339(forms.moment("since", forms.text("since")))}
    acting.post("resend all failed", _CONTEXT, f"{_path(endpoint_id)}/resend", body, on=[endpoint_id], key=forms.key())
    return _redirect_after("resent", endpoint_id)


@blueprint.post("/console/webhooks/<endpoint_id>/deliveries/<delivery_id>/resend")
def resend_webhook(endpoint_id: str, delivery_id: str) -> ResponseReturnValue:
    _act_on_delivery("resend", endpoint_id, delivery_id)
    return _redirect_after("resent", endpoint_id)


@blueprint.post("/console/webhooks/<endpoint_id>/deliveries/<delivery_id>/dismiss")
def dismiss_webhook(endpoint_id: str, delivery_id: str) -> ResponseReturnValue:
    _act_on_delivery("dismiss", endpoint_id, delivery_id)
    return _redirect_after("dismissed", endpoint_id)


def _redirect_after(act: str, endpoint_id: str) -> ResponseReturnValue:
    """Redirect to the endpoint, whose page shows the outcome of the act since now."""
    return done("show_webhook", act, endpoint_id=endpoint_id, since=rfc3339(datetime.now(UTC)))


def _page(endpoint_id: str, **values: Any) -> str:
    """One endpoint with a page of its deliveries. Raises `ContextDownError`."""
    token, api, path = session().token, context().contexts, _path(endpoint_id)
    status = request.args.get("status", "")
    query = {"status": status if status in STATUSES else ""}
    reads = {
        "endpoint": partial(api.get, _CONTEXT, path, token),
        "page": partial(
            api.get, _CONTEXT, f"{path}/deliveries", token, limit=PAGE, **query,
            starting_after=request.args.get("starting_after"),
        ),
    }  # fmt: skip
    found = api.read_all(**reads)
    for each in found.values():
        if isinstance(each, ContextDownError | RefusedError):
            raise each
    return render(
        "webhook.html",
        **found,
        query=query | {"endpoint_id": endpoint_id},
        statuses=STATUSES,
        keeps=KEEP_PREVIOUS_SECONDS,
        since=_resend_since(found["endpoint"]),
        outcome=outcome(
            request.args.get("done", ""), request.args.get("since", ""), found["endpoint"], found["page"]["data"]
        ),
        acts=acting.acts_on(endpoint_id),
        key=new_id(),
        **values,
    )


def _resend_since(endpoint: dict[str, Any]) -> str:
    """The default of the form: since the endpoint fails, or since a day ago, in UTC and the format of a browser's
    field.
    """
    failing = endpoint["failing_since"] or endpoint["disabled_at"]
    since = datetime.fromisoformat(failing) if failing else datetime.now(UTC) - timedelta(seconds=RESEND_SECONDS)
    return (since.astimezone(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M")  # it was created before it failed


def _act_on_delivery(kind: str, endpoint_id: str, delivery_id: str) -> None:
    path = f"/deliveries/{forms.known_id(delivery_id)}/{kind}"
    acting.post(f"{kind} a delivery", _CONTEXT, path, on=[forms.known_id(endpoint_id), delivery_id], key=forms.key())


def _path(endpoint_id: str) -> str:
    return f"/webhook-endpoints/{forms.known_id(endpoint_id)}"
