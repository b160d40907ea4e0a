"""The metadata of a request: its id, its message context, its JSON body, its idempotency key.

Everything here is read once per request and is safe to log. Only routes and the app factory call this module; they pass
the values to use cases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote_to_bytes

from flask import g, request
from marshmallow import missing
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from common import strict_json
from common.errors import Malformed
from common.messaging.events import MessageContext, new_id
from common.observability import traceparent
from common.web.idempotency import Reply, RequestKey, fingerprint
from common.web.request_buffer import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection

    from flask import Request

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_KEY = re.compile(r"[ -~]{1,255}")
_QUOTED_KEY = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_UTF8_CHARSETS = (None, "utf-8", "utf8", "us-ascii")


def request_id() -> str:
    """The caller's `Request-Id` if it is a plain token of at most 128 characters, else a new UUIDv7."""
    if "request_id" not in g:
        g.request_id = sane_request_id(request.headers.get("Request-Id", ""))
    return cast("str", g.request_id)


def sane_request_id(given: str) -> str:
    """The given one if it is a plain token, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def request_message_context() -> MessageContext:
    """The message context of this request's events: they inherit the request id as correlation id, and the W3C
    trace.
    """
    if "message_context" not in g:
        span = g.span.traceparent if "span" in g else None
        g.message_context = MessageContext(
            correlation_id=request_id(), traceparent=span or given_traceparent() or traceparent.fresh()
        )
    return cast("MessageContext", g.message_context)


def given_traceparent() -> str | None:
    """The caller's `traceparent`, if it is one."""
    given = request.headers.get("traceparent")
    return given if traceparent.parse(given) else None


def check_target() -> None:
    """Refuse a path or query that is not UTF-8 or contains U+0000 (werkzeug would silently replace such bytes)."""
    path = request.environ.get("PATH_INFO", "").encode("latin-1", "replace")
    query = unquote_to_bytes(request.environ.get("QUERY_STRING", "").encode("latin-1", "replace"))
    for name, value in (("path", path), ("query", query)):
        try:
            value.decode()
        except UnicodeDecodeError:
            message = f"the {name} is not UTF-8"
            raise Malformed(message) from None
        if b"\x00" in value:
            message = f"the {name} contains the character U+0000"
            raise Malformed(message)


def json_body() -> Any:
    """The parsed body; `marshmallow.missing` if there is none. Raises what `strictjson` raises, 413 and 415."""
    if "json_body" not in g:
        g.json_body = _read_json(request)
    return g.json_body


def _read_json(request: Request) -> Any:
    typed = request.content_type is not None
    if typed and not (request.is_json and request.mimetype_params.get("charset", "utf-8").lower() in _UTF8_CHARSETS):
        raise UnsupportedMediaType("send the body as application/json in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the body without a Content-Encoding")
    body = request.get_data(cache=True)
    # Werkzeug silently truncates a chunked body at its limit: its limit is one byte above ours, to detect that.
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if not typed and body:
        raise UnsupportedMediaType("send the body with Content-Type: application/json")
    return strict_json.loads(body) if typed else missing


def idempotency_key(*, required: bool = False) -> str | None:
    """The `Idempotency-Key`, bare or as a quoted string of RFC 8941; None if there is none and none is required."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        if required:
            raise Malformed("this request needs an Idempotency-Key", code="idempotency_key_missing")
        return None
    key = given.strip()
    if quoted := _QUOTED_KEY.fullmatch(key):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif key.startswith('"'):
        key = ""
    if not _KEY.fullmatch(key):
        raise Malformed(
            "an Idempotency-Key is 1 to 255 printable ASCII characters, bare or in double quotes",
            code="invalid_idempotency_key",
        )
    return key


def request_fingerprint(*, secrets: Collection[str] = ()) -> str:
    """The fingerprint of this request's method, path and body without its `secrets`."""
    body = json_body()
    return fingerprint(request.method, request.path, None if body is missing else body, secrets=secrets)


def request_key(*, required: bool = False, secrets: Collection[str] = ()) -> RequestKey | None:
    """This request's key in the scope of its caller and route; `secrets` are fields kept out of the fingerprint."""
    key = idempotency_key(required=required)
    if key is None:
        return None
    who = g.caller.id if "caller" in g else "anybody"
    route = request.url_rule.rule if request.url_rule else request.path
    return RequestKey(f"{who} {request.method} {route}", key, request_fingerprint(secrets=secrets))


def render(reply: Reply) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Convert a use case's response for a view."""
    headers = reply.headers | ({"Idempotent-Replayed": "true"} if reply.replayed else {})
    return reply.body, reply.status, headers
