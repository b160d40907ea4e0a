"""Access control of routes. A route needs a token unless it is marked `public`; `operators_only` also requires that
role.

The token is checked before the body is read, so an anonymous client learns nothing about the expected body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import current_app, g, request

from common.errors import Forbidden, Unauthenticated
from common.web.allowed_methods import is_automatic_options
from common.web.openapi import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from common.security.tokens import Caller, Verifier

View = TypeVar("View", bound="Callable[..., Any]")


def public(view: View) -> View:
    """Mark a view that needs no token."""
    view.__dict__["public"] = True
    return document(security=[])(view)


def operators_only(view: View) -> View:
    """Mark a view that only operators may use."""
    view.__dict__["operators_only"] = True
    return view


def caller() -> Caller:
    """The caller of this request. Raises `Unauthenticated`."""
    if "caller" not in g:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("send a token: Authorization: Bearer ...")
        g.caller = cast("Verifier", current_app.extensions["verifier"]).verify(token.strip())
    return cast("Caller", g.caller)


def require_operator() -> Caller:
    """The caller of this request, if it is an operator. Raises `Unauthenticated` or `Forbidden`."""
    if not caller().is_operator:
        raise Forbidden("only operators may do this")
    return caller()


def register(app: Flask, verifier: Verifier) -> None:
    """Guard every route of `app`."""
    app.extensions["verifier"] = verifier
    app.before_request(_guard)


def _guard() -> None:
    if request.endpoint is None:
        return  # routing failed and reports its own error
    view = current_app.view_functions[request.endpoint]
    if getattr(view, "public", False) or is_automatic_options():
        return
    if getattr(view, "operators_only", False):
        require_operator()
    else:
        caller()
