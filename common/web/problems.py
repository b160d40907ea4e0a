"""Errors as RFC 9457 problem documents: the one place that maps an exception to an HTTP response.

Every document has `type`, `title`, `status`, `detail`, `instance`, and beyond the RFC `code` (stable, for programs),
`request_id`, and `errors` (field -> messages). A 5xx reveals no internals; the log has them.
"""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, request
from marshmallow import Schema, fields
from werkzeug.exceptions import HTTPException

from common.errors import Contention, HoldfastError, Rejected, Unauthenticated, Unavailable, Undecided, classify
from common.observability import logs
from common.web.allowed_methods import allow
from common.web.request import request_id

CONTENT_TYPE = "application/problem+json"
MAX_FIELD_ERRORS = 100
_RETRY_JITTER_SECONDS = 2
_log = logs.logger(__name__)

_HTTP_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
_HTTP_DETAILS = {
    404: "there is nothing at this address",
    405: "Method not allowed.",
    413: "the body is larger than this service accepts",
}
_TOKEN_CODES = ("invalid_token", "token_expired")
_KEPT_HEADERS = ("Retry-After", "WWW-Authenticate")


class ProblemSchema(Schema):
    """The schema of every error response, for the OpenAPI document."""

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "stable, for programs"})
    request_id = fields.String(required=True)
    errors = fields.Dict(
        keys=fields.String(), values=fields.List(fields.String()), metadata={"description": "field -> messages"}
    )


def register(app: Flask) -> None:
    app.register_error_handler(Exception, render)
    app.register_error_handler(HTTPException, render)


def render(error: Exception) -> Response | HTTPException:
    """The reply to a request that raised `error`."""
    if isinstance(error, HTTPException):
        return _from_werkzeug(error)
    if isinstance(error, Rejected):
        headers = {"WWW-Authenticate": challenge(error)} if isinstance(error, Unauthenticated) else {}
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["Retry-After"] = str(retry_after(getattr(error, "retry_after_seconds", 1)))
        return problem(error.status, error.code, str(error), errors=error.errors, headers=headers)
    kind = classify(error)
    if issubclass(kind, Unavailable | Contention | Undecided):
        return _unavailable(error, kind)
    _log.error("request failed", exc_info=error, path=request.path)
    return problem(500, HoldfastError.code, "this is a fault of the service; it has been recorded under the request id")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem document as a response."""
    body = document(status, code, detail, instance=request.path, request_id=request_id())
    if errors:
        body["errors"] = errors
    return Response(current_app.json.dumps(body), status, headers, content_type=CONTENT_TYPE)


def document(status: int, code: str, detail: str, *, instance: str, request_id: str) -> dict[str, Any]:
    """A problem document's members; needs no request."""
    return {
        "type": f"urn:holdfast:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": request_id,
    }


def bare_headers(body: bytes, request_id: str) -> list[tuple[str, str]]:
    """The headers of a problem document that is sent without the app."""
    return [
        ("Content-Type", CONTENT_TYPE),
        ("Content-Length", str(len(body))),
        ("Request-Id", request_id),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]


def retry_after(seconds: int = 1) -> int:
    """A `Retry-After` with jitter, so that rejected clients do not all return at once."""
    return seconds + random.randint(0, _RETRY_JITTER_SECONDS)


def flatten(messages: Any, path: str = "") -> dict[str, list[str]]:
    """Nested messages of marshmallow as {"items.0.quantity": ["..."]}, bounded in number."""
    if not isinstance(messages, dict):
        texts = messages if isinstance(messages, list) else [messages]
        return {path or "body": [str(text) for text in texts]}
    result: dict[str, list[str]] = {}
    for name, inner in messages.items():
        if len(result) >= MAX_FIELD_ERRORS:
            break
        step = "" if name == "_schema" else str(name)
        result |= flatten(inner, ".".join(part for part in (path, step) if part))
    return result


def _unavailable(error: Exception, kind: type[HoldfastError]) -> Response:
    _log.warning("dependency unavailable", path=request.path, error=f"{type(error).__name__}: {error}")
    code = error.code if isinstance(error, HoldfastError) else kind.code
    seconds = retry_after(getattr(error, "retry_after_seconds", 1))
    return problem(503, code, "temporarily unavailable: try again soon", headers={"Retry-After": str(seconds)})


def _from_werkzeug(error: HTTPException) -> Response | HTTPException:
    status = error.code
    if status is None or status < HTTPStatus.BAD_REQUEST:
        return error  # a redirect is not an error
    given = error.get_response().headers
    headers = {name: given[name] for name in _KEPT_HEADERS if name in given}
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = allow()
    detail = _HTTP_DETAILS.get(status) or error.description or HTTPStatus(status).phrase
    return problem(status, _HTTP_CODES.get(status, _slug(status)), detail, headers=headers)


def _slug(status: int) -> str:
    return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")


def challenge(error: Unauthenticated) -> str:
    # RFC 6750: no error attribute unless the request carried a token.
    return 'Bearer realm="holdfast"' + (', error="invalid_token"' if error.code in _TOKEN_CODES else "")
