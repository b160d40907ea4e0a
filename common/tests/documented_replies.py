"""No test passes on a reply that the service's OpenAPI document does not have: its status, media type or problem code.

Every test uses `watch` (see `conftest.py`), so whatever the tests provoke, outages included, is documented.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import request, request_finished
from flask_smorest.spec.plugins import FlaskPlugin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask, Response


@contextmanager
def watch() -> Iterator[list[str]]:
    """What is not documented, of all replies that an app in this process gives until the end of the block."""
    found: list[str] = []

    def check(app: Flask, response: Response, **_: Any) -> None:
        if what := undocumented(app, response):
            found.append(f"{request.method} {request.url_rule}: {what} is not documented")

    with request_finished.connected_to(check):
        yield found


def undocumented(app: Flask, response: Response) -> str | None:
    """What the operation of the current request does not document of this response."""
    operation = _operation(app)
    if operation is None:
        return None
    reply = operation["responses"].get(str(response.status_code))
    if reply is None:
        return str(response.status_code)
    if "$ref" in reply:
        reply = _document(app)["components"]["responses"][reply["$ref"].rpartition("/")[2]]
    content = reply.get("content", {})
    if content and response.mimetype not in content:
        return f"{response.status_code} as {response.mimetype}"
    if "application/problem+json" in content:
        code = response.get_json()["code"]
        known = content["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
        return None if code in known else f"{response.status_code} {code}"
    return None


def _operation(app: Flask) -> dict[str, Any] | None:
    if request.url_rule is None or "flask-smorest" not in app.extensions:
        return None
    path = _document(app)["paths"].get(FlaskPlugin.flaskpath2openapi(request.url_rule.rule), {})
    operation: dict[str, Any] | None = path.get(request.method.lower())
    return operation


def _document(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].document()
    return document
