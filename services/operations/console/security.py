"""Browser security of the console: headers, CSRF and cookies.

A form is accepted only with the session's CSRF token, and never from another origin. The session's cookie is HttpOnly
and SameSite=Strict, and Secure if the client uses TLS.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import request

if TYPE_CHECKING:
    from flask import Response

COOKIE = "holdfast_console"
CSRF_FIELD = "csrf"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def protect(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response


def is_own_form(csrf: str | None) -> bool:
    """Whether a form was sent by a page of this console, and (with `csrf`) of this session."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return False
    return csrf is None or hmac.compare_digest(request.form.get(CSRF_FIELD, "").encode(), csrf.encode())


def set_cookie(response: Response, secret: str, *, seconds: int) -> None:
    response.set_cookie(COOKIE, secret, max_age=seconds, path="/", secure=is_by_tls(), httponly=True, samesite="Strict")


def delete_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=is_by_tls(), httponly=True, samesite="Strict")


def is_by_tls() -> bool:
    """Whether the client uses TLS. A client that forges this header gets a cookie that it does not send back."""
    return request.is_secure or request.headers.get("X-Forwarded-Proto", "") == "https"


def local_path(target: str | None) -> str:
    """`target` if it is a path of the console, `/` otherwise."""
    if target and (target == "/" or target.startswith(("/?", "/console/"))) and "\\" not in target:
        return target
    return "/"
