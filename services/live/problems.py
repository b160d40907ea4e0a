"""Errors as problem documents (RFC 9457), as in every other service; see common/web/problems.py."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from common.errors import Contention, HoldfastError, Rejected, Unauthenticated, Unavailable, Undecided, classify
from common.observability import logs
from common.web.problems import CONTENT_TYPE, challenge, document, retry_after

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

_log = logs.logger(__name__)
_HTTP = {
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "Method not allowed."),
}


def register(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _from_starlette)
    app.add_exception_handler(Exception, _render)
    app.add_exception_handler(HoldfastError, _render)


def problem(request: Request, status: int, code: str, detail: str, **headers: str) -> Response:
    """A problem document as a response; `Retry_After` is the header Retry-After."""
    body = document(status, code, detail, instance=request.url.path, request_id=request.state.request_id)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps(body), status, named, media_type=CONTENT_TYPE)


def not_ready(request: Request) -> Response:
    return problem(request, 503, "not_ready", "not ready: mongodb", Retry_After="1")


async def _from_starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    status = error.status_code
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = {"OPTIONS", *(error.headers or {}).get("Allow", "").replace(" ", "").split(",")} - {""}
        allow = ", ".join(sorted(methods))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allow})
        return problem(request, status, *_HTTP[status], Allow=allow)
    code, detail = _HTTP.get(status, ("malformed_request", HTTPStatus(status).phrase))
    return problem(request, status, code, detail)


async def _render(request: Request, error: Exception) -> Response:
    if isinstance(error, Rejected):
        headers: dict[str, Any] = {}
        if isinstance(error, Unauthenticated):
            headers["WWW_Authenticate"] = challenge(error)
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["Retry_After"] = str(retry_after(getattr(error, "retry_after_seconds", 1)))
        return problem(request, error.status, error.code, str(error), **headers)
    kind = classify(error)
    if issubclass(kind, Unavailable | Contention | Undecided):
        _log.warning("dependency unavailable", path=request.url.path, error=f"{type(error).__name__}: {error}"[:200])
        code = error.code if isinstance(error, HoldfastError) else kind.code
        seconds = retry_after(getattr(error, "retry_after_seconds", 1))
        return problem(request, 503, code, "temporarily unavailable: try again soon", Retry_After=str(seconds))
    _log.error("request failed", exc_info=error, path=request.url.path)
    return problem(
        request, 500, HoldfastError.code, "this is a fault of the service; it has been recorded under the request id"
    )
