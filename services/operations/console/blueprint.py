"""The console's routes in one place: access, CSRF protection, and error pages.

A page needs a signed-in operator unless it is in `_OPEN`; a form without the session's CSRF token is rejected.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, send_from_directory, url_for
from werkzeug.exceptions import HTTPException

from common.errors import NotFound, Rejected, Unauthenticated, Unavailable, classify
from common.observability import logs
from common.security.auth import public
from common.web.app_factory import context
from common.web.request import request_id
from services.operations.console import assets, formats, re_check, security
from services.operations.console.contexts import ContextDownError, RefusedError, SignedOutError
from services.operations.console.navigation import LOCAL, NAVIGATION

if TYPE_CHECKING:
    from flask import Flask
    from flask.blueprints import BlueprintSetupState
    from flask.typing import ResponseReturnValue

    from common.security.tokens import Verifier
    from services.operations.sessions import Session

NAME = "console"
STATIC = Path(__file__).parent / "static"
FRAGMENT = "Console-Refresh"  # the header of an automatic refresh by the page
_OPEN = frozenset({f"{NAME}.sign_in", f"{NAME}.show_sign_in", f"{NAME}.static_file"})
_STATIC_SECONDS = 365 * 24 * 3600
_log = logs.logger(__name__)

blueprint = Blueprint(NAME, __name__, template_folder="templates")


def register(app: Flask) -> None:
    """Add the console to the app of the operations service."""
    app.register_blueprint(blueprint)
    for endpoint, view in app.view_functions.items():
        if endpoint.startswith(f"{NAME}."):
            public(view)  # a page needs a session, not a bearer token


def session() -> Session:
    """The session of this request."""
    return cast("Session", g.console_session)


def operator_id() -> str:
    """The operator, in the format of the records of dead letters."""
    verifier = cast("Verifier", current_app.extensions["verifier"])
    try:
        return verifier.verify(session().token).id
    except Unauthenticated:
        raise SignedOutError from None


@blueprint.record_once
def _add_filters(state: BlueprintSetupState) -> None:
    state.app.jinja_env.filters.update(formats.FILTERS)


@blueprint.before_request
def _check() -> ResponseReturnValue | None:
    """Reject requests without a session, and forms that were not sent by a page of this session."""
    if request.endpoint in _OPEN:
        return None
    refreshes = FRAGMENT in request.headers
    found = context().sessions.find(request.cookies.get(security.COOKIE), is_active=not refreshes)
    if found is None:
        return _signed_out()
    g.console_session = found
    if request.method == "POST" and not security.is_own_form(found.csrf):
        return render("message.html", title="Nothing was done", text=_FOREIGN_FORM), HTTPStatus.FORBIDDEN
    return None


@blueprint.after_request
def _protect(response: Response) -> Response:
    return security.protect(response)


def render(template: str, **values: Any) -> str:
    """Render a page with the variables of every page."""
    return render_template(
        f"console/{template}",
        navigation=[line for line in NAVIGATION if context().contexts.has_control or line[0] not in LOCAL],
        page_endpoints=current_app.view_functions,
        asset=assets.address,
        csrf=g.console_session.csrf if "console_session" in g else "",
        user=g.console_session.user if "console_session" in g else "",
        notice=_NOTICES.get(request.args.get("done", "")),
        is_notice_open=request.args.get("done", "") in _OPEN_NOTICES,
        **values,
    )


def done(endpoint: str, notice: str | None, **values: Any) -> ResponseReturnValue:
    """Redirect to the page that shows the effect of a form, with a sentence of `_NOTICES` or with its own."""
    return redirect(url_for(f"{NAME}.{endpoint}", done=notice, **values), HTTPStatus.SEE_OTHER)


@blueprint.get("/console/static/<path:name>")
def static_file(name: str) -> Response:
    return send_from_directory(STATIC, name, max_age=_STATIC_SECONDS)


@blueprint.route("/console/<path:_>", methods=["GET", "POST"])
def missing(_: str) -> ResponseReturnValue:
    raise NotFound("There is no such page.")


@blueprint.errorhandler(SignedOutError)
def _token_refused(_: SignedOutError) -> ResponseReturnValue:
    return _signed_out()


@blueprint.errorhandler(RefusedError)
def _refused(error: RefusedError) -> ResponseReturnValue:
    lines = [f"{name}: {', '.join(map(str, texts))}" for name, texts in error.errors.items()]
    text = error.detail if error.detail.endswith(".") else f"{error.detail}."
    page = render("message.html", title="Refused", text=text, code=error.code, lines=lines, back=_back())
    return page, error.status


@blueprint.errorhandler(ContextDownError)
def _context_down(error: ContextDownError) -> ResponseReturnValue:
    text = error.sentence
    if request.method == "POST" and not error.is_provider:
        text += " It is not known whether your request was executed: check before you repeat it."
    return render("message.html", title="No reply", text=text, retry=request.method == "GET", back=_back()), 503


@blueprint.errorhandler(Exception)
def _failed(error: Exception) -> ResponseReturnValue:
    if isinstance(error, HTTPException):
        status = error.code or 500
        return render("message.html", title=HTTPStatus(status).phrase, text=error.description or ""), status
    if isinstance(error, Rejected):
        title = HTTPStatus(error.status).phrase
        return render("message.html", title=title, text=str(error), code=error.code, back=_back()), error.status
    if issubclass(classify(error), Unavailable):
        _log.warning("MongoDB is unavailable for a page", path=request.path, error=f"{type(error).__name__}: {error}")
        return render("message.html", title="MongoDB does not answer", text=_NO_STORE, retry=True), 503
    _log.error("a page failed", path=request.path, exc_info=error)
    text = f"This is a fault of the console. It is in its log under the request id {request_id()}."
    return render("message.html", title="Something is wrong here", text=text), 500


def _back() -> tuple[str, str] | None:
    """The address and the name of the page whose form is refused; None for a page that cannot be shown itself."""
    if request.method != "POST":
        return None
    if request.path.startswith("/console/cases/"):
        return url_for(f"{NAME}.list_cases"), "Cases"
    known = request.view_args or {}
    for name, (endpoint, label) in _PAGES_OF.items():
        if name in known:
            return url_for(f"{NAME}.{endpoint}", **{name: known[name]}), label
    return None


def _signed_out() -> ResponseReturnValue:
    if FRAGMENT in request.headers:
        return "signed out", HTTPStatus.UNAUTHORIZED
    target = request.full_path.rstrip("?") if request.method == "GET" else "/"
    reason = (
        "nothing-done" if request.method == "POST" else "sign-in" if security.COOKIE not in request.cookies else "ended"
    )
    response = cast(
        "Response", redirect(url_for(f"{NAME}.show_sign_in", next=target, reason=reason), HTTPStatus.SEE_OTHER)
    )
    security.delete_cookie(response)
    return response


_FOREIGN_FORM = "This form was not sent by a page of your session. Go back, reload the page and try again."
_NO_STORE = (
    "The store of sessions, dead letters and audits is unavailable. Orders are not affected. This page retries;"
    " the page Now works if you were signed in before."
)
_PAGES_OF = {
    "order_id": ("show_order", "the order"),
    "letter_id": ("show_dead_letter", "the dead letter"),
    "endpoint_id": ("show_webhook", "the webhook"),
}
_NOTICES = re_check.NOTICES | {
    "cancelled": "The order is cancelled.",
    "refunded": "The refund is made.",
    "refund-pending": "The refund is requested. The payment provider has not decided it yet.",
    "re-emitted": "The order's last event is published again.",
    "discarded": "The dead letter is discarded. The record is kept.",
    "retried": "The refund was retried and accepted.",
    "recorded": "The refund is recorded.",
    "auditing": "The audit was started.",
    "injected": "The fault was injected.",
    "undone": "The fault is removed. Waiting work resumes within seconds; what still waits is listed below.",
    "undoing": "The fault is not removed yet. The removal is retried until it succeeds.",
}
# Requested, but not done yet.
_OPEN_NOTICES = {key for key in _NOTICES if "undecided" in key} | {"refund-pending", "undoing"}
