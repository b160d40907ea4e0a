"""Responds to requests that do not reach the app: malformed, too large, or too slow.

The response is a problem document like every other error's, with the request's id and path if they can be parsed. It
closes the connection, because the start of the next request is unknown. Only the path is logged: an unparsed header may
contain a token.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, NamedTuple

import structlog
from gunicorn.asgi.parser import ParseError
from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from prometheus_client import Counter, Gauge

from common.errors import HoldfastError
from common.observability.logs import logger
from common.web import problems
from common.web.request import sane_request_id
from common.web.request_buffer import BodyTooLargeError, HeadTooLargeError, IncompleteRequestError

REFUSED = Counter("http_bad_requests", "Requests rejected before they reached the app", ["status"])
CLOSED = Counter("http_connections_closed", "Connections closed to make room for others")
OPEN = Gauge("http_connections_open", "Connections of clients")
_TARGET = re.compile(rb"(?:\r\n)?[A-Z]{1,20} (/[!->@-~]{0,4000})")
_REQUEST_ID = re.compile(rb"(?i)\r\nrequest-id:[ \t]*([A-Za-z0-9._-]{1,128})[ \t]*\r\n")
_log = logger("access")


class _Answer(NamedTuple):
    errors: tuple[type[Exception], ...]
    status: int
    code: str
    detail: str


_OUR_FAULT = "this is a fault of the service"
# The first match.
_ANSWERS = (
    _Answer(
        (InvalidResponseHeader, InvalidResponseHeaderName), 500, HoldfastError.code, "this is a fault of the service"
    ),
    _Answer((TimeoutError,), 408, "request_timeout", "the request did not arrive in time"),
    _Answer((BodyTooLargeError,), 413, "body_too_large", "the body is larger than this service accepts"),
    _Answer((LimitRequestLine,), 414, "uri_too_long", "the address is longer than this service accepts"),
    _Answer(
        (ExpectationFailed,), 417, "expectation_failed", "this service supports no expectation except 100-continue"
    ),
    _Answer((LimitRequestHeaders, HeadTooLargeError), 431, "header_too_large", "the headers are too many or too long"),
    _Answer(
        (ParseException, ParseError, IncompleteRequestError),
        400,
        "malformed_request",
        "the request is not well-formed HTTP",
    ),
    _Answer((Exception,), 500, HoldfastError.code, _OUR_FAULT),
)
CODES = {known.status: known.code for known in _ANSWERS}


def answer(error: Exception, head: bytes, address: Any) -> bytes:
    """Return the whole response to the request that begins with `head` and failed with `error`."""
    found = next(known for known in _ANSWERS if isinstance(error, known.errors))
    target, given = _TARGET.match(head), _REQUEST_ID.search(head)
    path = target[1].decode() if target else "/"
    request_id = sane_request_id(given[1].decode() if given else "")
    _record(found.status, error, path=path, correlation_id=request_id, caller=address[0] if address else "")
    document = problems.document(found.status, found.code, found.detail, instance=path, request_id=request_id)
    return _reply(found.status, json.dumps(document).encode(), request_id)


def _record(status: int, error: Exception, **fields: str) -> None:
    REFUSED.labels(status).inc()
    structlog.contextvars.clear_contextvars()  # of this thread's previous request
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request failed", exc_info=error, **fields)
    _log.info("request", status=status, error=type(error).__name__, **fields)


def _reply(status: int, body: bytes, request_id: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in problems.bare_headers(body, request_id)),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
