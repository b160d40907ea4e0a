"""Documents every error of an operation in OpenAPI: each status with its `code`s.

Most follow from the operation itself: the server rejects malformed HTTP, a token is required, a body is parsed, an
Idempotency-Key is accepted. Errors of a use case are declared at its route, by class:

    @raises(UnknownSkuError, PriceChangedError)

Responses of a proxy in front (502, 504) are not listed.
"""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from flask_smorest.spec.plugins import FlaskPlugin
from werkzeug.exceptions import HTTPException

from common import errors
from common.resilience.circuit_breaker import CircuitOpenError
from common.strict_json import MalformedJsonError
from common.web import bad_requests, problems
from common.web.load_shedding import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from werkzeug.routing import Map, Rule

    from common.errors import HoldfastError

    Codes = dict[int, set[str]]

View = TypeVar("View", bound="Callable[..., Any]")
TOKEN_CODES = frozenset({errors.Unauthenticated.code, "invalid_token", "token_expired"})
KEY_IN_FLIGHT, KEY_REUSED = "idempotency_key_in_flight", "idempotency_key_reused"
_OUTAGES = {kind.code for kind in (errors.Unavailable, CircuitOpenError, errors.Contention, errors.LockTimeout)}
# Shared definitions, referenced in the document.
_SHARED: Codes = {
    **{status: {code} for status, code in bad_requests.CODES.items()},
    401: set(TOKEN_CODES),
    403: {errors.Forbidden.code},
    404: {errors.NotFound.code},
    405: {"method_not_allowed"},
    415: {"unsupported_media_type"},
    422: {"invalid_request"},
    429: {"rate_limited"},
    503: {OverloadedError.code, *_OUTAGES},
}
_ANYWHERE = (*bad_requests.CODES, 429, 503)
_HEADERS = {
    "RequestId": {
        "required": True,
        "schema": {"type": "string"},
        "description": "names this request in logs and events",
    },
    "RetryAfter": {
        "required": True,
        "schema": {"type": "integer"},
        "description": "seconds to wait before you try again",
    },
    "WwwAuthenticate": {"required": True, "schema": {"type": "string"}},
    "IdempotentReplayed": {"schema": {"enum": ["true"]}, "description": "this is the first reply again"},
}
_HEADERS_OF = {401: {"WWW-Authenticate": "WwwAuthenticate"}, 429: {"Retry-After": "RetryAfter"}}
_HEADERS_OF[503] = _HEADERS_OF[429]


def raises(*kinds: type[HoldfastError]) -> Callable[[View], View]:
    """Declare the errors that the use case of a view raises."""

    def decorate(view: View) -> View:
        view.__dict__["raises"] = kinds
        return view

    return decorate


def complete(document: dict[str, Any], url_map: Map, views: dict[str, Callable[..., Any]]) -> None:
    """Add to every operation of `document` its errors, and to every response its headers."""
    components = document["components"]
    components["headers"] = _HEADERS
    components["responses"] = {_name(status): _response(status, codes) for status, codes in sorted(_SHARED.items())}
    for rule, method, operation in _operations(document, url_map):
        found = error_codes(rule, method, operation, views[rule.endpoint], url_map)
        is_replayed = _parameter(operation, "Idempotency-Key") is not None
        for reply in operation["responses"].values():
            reply.setdefault("headers", {}).update(_headers({"Request-Id": "RequestId"}))
            reply["headers"].update(_headers({"Idempotent-Replayed": "IdempotentReplayed"}) if is_replayed else {})
        operation["responses"] |= {str(status): _reference(status, codes) for status, codes in found.items()}
        operation["responses"] = dict(sorted(operation["responses"].items()))


def error_codes(rule: Rule, method: str, operation: dict[str, Any], view: Callable[..., Any], url_map: Map) -> Codes:
    """The statuses of this operation's errors, each with its codes."""
    found: Codes = defaultdict(set)
    for status in _statuses(rule, method, operation, view, url_map):
        found[status] |= _SHARED[status]
    key = _parameter(operation, "Idempotency-Key")
    body = operation.get("requestBody")
    if body or key:  # the body is part of a key's fingerprint, even if no route reads it
        found[400].add(MalformedJsonError.code)
    if body and body.get("required"):
        found[400].add("body_missing")
    if key:
        found[400] |= {"invalid_idempotency_key"} | ({"idempotency_key_missing"} if key.get("required") else set())
        found[409].add(KEY_IN_FLIGHT)
        found[422].add(KEY_REUSED)
    for kind in getattr(view, "raises", ()):
        found[kind.status].add(kind.code)
    return found


def _statuses(
    rule: Rule, method: str, operation: dict[str, Any], view: Callable[..., Any], url_map: Map
) -> Iterator[int]:
    yield from _ANYWHERE
    reads_body = "requestBody" in operation
    if not getattr(view, "public", False):
        yield 401
    if getattr(view, "operators_only", False):
        yield 403
    if rule.arguments:
        yield 404
        if _takes_literal_path(rule, method, url_map):
            yield 405
    if reads_body or _parameter(operation, "Idempotency-Key"):
        yield 415
    if reads_body or any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
        yield 422


def _takes_literal_path(rule: Rule, method: str, url_map: Map) -> bool:
    """Whether a path without a variable part and without this method also matches this pattern: see
    `allowed_methods`.
    """
    adapter = url_map.bind("localhost")
    for other in url_map.iter_rules():
        if not other.arguments:
            try:
                matched, _ = adapter.match(other.rule, method, return_rule=True)
            except HTTPException:
                continue
            if matched is rule:
                return True
    return False


def _operations(document: dict[str, Any], url_map: Map) -> Iterator[tuple[Rule, str, dict[str, Any]]]:
    for rule in url_map.iter_rules():
        item = document["paths"].get(FlaskPlugin.flaskpath2openapi(rule.rule), {})
        for method in rule.methods or ():
            if method.lower() in item:
                yield rule, method, item[method.lower()]


def _parameter(operation: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((each for each in operation.get("parameters", ()) if each["name"] == name), None)


def _reference(status: int, codes: set[str]) -> dict[str, Any]:
    if codes == _SHARED.get(status):
        return {"$ref": f"#/components/responses/{_name(status)}"}
    return _response(status, codes)


def _response(status: int, codes: set[str]) -> dict[str, Any]:
    members = {"status": {"const": status}, "code": {"enum": sorted(codes)}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": members}]}
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _headers({"Request-Id": "RequestId"} | _HEADERS_OF.get(status, {})),
        "content": {problems.CONTENT_TYPE: {"schema": schema}},
    }


def _headers(names: dict[str, str]) -> dict[str, Any]:
    return {header: {"$ref": f"#/components/headers/{name}"} for header, name in names.items()}


def _name(status: int) -> str:
    return f"Error{status}"  # Python's phrases change between versions
