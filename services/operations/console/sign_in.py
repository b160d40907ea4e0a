"""Sign in with an operator's account of the users service, and sign out."""

from __future__ import annotations

import hmac
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from flask import Response, current_app, make_response, redirect, request, url_for

from common.errors import Unavailable, classify
from common.observability import logs
from common.web.app_factory import context
from common.web.client_address import client_address
from common.web.rate_limits import rate_limited
from services.operations.console import people, security
from services.operations.console.blueprint import NAME, blueprint, render, session
from services.operations.console.contexts import ContextDownError, RefusedError
from services.operations.sessions import IDLE_SECONDS

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from common.security.tokens import Verifier

FORM_COOKIE = "holdfast_sign_in"  # its value is also in the form; another site cannot know it
_FORM_SECONDS = 3600
_MAX_LENGTH = 1024
_REASONS = {
    "ended": "Your session has ended. Sign in to continue.",
    "nothing-done": "Your session had ended, so your request was not executed. Sign in and send it again.",
    "signed-out": "You are signed out.",
}
_log = logs.logger(__name__)


@blueprint.get("/console/sign-in")
def show_sign_in() -> ResponseReturnValue:
    return _form(message=_REASONS.get(request.args.get("reason", "")))


@blueprint.post("/console/sign-in")
@rate_limited
def sign_in() -> ResponseReturnValue:
    """Request a token from the users service. The password is not stored."""
    sent, expected = request.form.get(security.CSRF_FIELD, ""), request.cookies.get(FORM_COOKIE, "")
    if not expected or not hmac.compare_digest(sent.encode(), expected.encode()) or not security.is_own_form(None):
        return _form(error="The form was out of date. Try again."), HTTPStatus.FORBIDDEN
    name, password = request.form.get("name", "").strip()[:_MAX_LENGTH], request.form.get("password", "")[:_MAX_LENGTH]
    if not name or not password:
        return _form(error="Enter a name and a password.", name=name), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        reply = context().contexts.post(
            "users",
            "/tokens",
            None,
            {"email" if "@" in name else "username": name, "password": password},
            X_Forwarded_For=client_address(),
        )
    except RefusedError as error:
        return _form(error=_refusal(error), name=name), error.status
    except ContextDownError as error:
        return _form(error=f"The users service does not answer ({error.detail}). Try again soon.", name=name), 503
    token = str(reply["access_token"])
    caller = cast("Verifier", current_app.extensions["verifier"]).verify(token)
    if not caller.is_operator:
        return _form(error="This account is not an operator's.", name=name), HTTPStatus.FORBIDDEN
    seconds = int(reply["expires_in"])
    secret, _ = context().sessions.start(name, token, seconds=seconds)
    people.remember(caller.id, name)
    _log.info("signed in to the console", caller=caller.id)
    response = make_response(redirect(security.local_path(request.form.get("next")), HTTPStatus.SEE_OTHER))
    security.set_cookie(response, secret, seconds=seconds)
    return response


@blueprint.post("/console/sign-out")
def sign_out() -> ResponseReturnValue:
    try:
        context().sessions.end(session())
    except Exception as error:
        if classify(error) is not Unavailable:
            raise
    target = url_for(f"{NAME}.show_sign_in", reason="signed-out")
    response = cast("Response", redirect(target, HTTPStatus.SEE_OTHER))
    security.delete_cookie(response)
    return response


def _form(message: str | None = None, error: str | None = None, name: str = "") -> Response:
    nonce = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
    target = security.local_path(request.values.get("next"))
    page = render(
        "sign_in.html",
        message=message,
        error=error,
        name=name,
        nonce=nonce,
        next=target,
        idle_minutes=IDLE_SECONDS // 60,
    )
    response = make_response(page)
    response.set_cookie(
        FORM_COOKIE, nonce, max_age=_FORM_SECONDS, path="/console/sign-in", httponly=True, samesite="Strict",
        secure=security.is_by_tls(),
    )  # fmt: skip
    return response


def _refusal(error: RefusedError) -> str:
    if error.status == HTTPStatus.UNAUTHORIZED or error.errors:
        return "Name or password is wrong."
    return f"{error.detail}."
