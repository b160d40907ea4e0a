"""The adapter to flask-smorest: typed decorators, strict input, problem documents in the OpenAPI 3.1 document.

Routes use `Blueprint` from here. Differences to flask-smorest's: a schema class is instantiated once, the body is
read by `common.strict_json`, unknown fields and query parameters are rejected, errors are those of
`common.web.problems`.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import flask_smorest
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Response, jsonify
from marshmallow import missing
from webargs.flaskparser import FlaskParser

from common.errors import Malformed, Rejected
from common.web import error_responses, problems
from common.web.request import json_body

if TYPE_CHECKING:
    from flask import Flask

View = TypeVar("View", bound=Callable[..., Any])
BEARER = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "1 to 255 printable ASCII characters, bare or quoted: the same key gets the same reply again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]([ -~]*[!-~])?$"},
}


LOCATION = {
    "Location": {
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
        "description": "the address of what was created",
    }
}


class _StrictParser(FlaskParser):
    DEFAULT_UNKNOWN_BY_LOCATION = dict.fromkeys(FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION)  # by the schema

    def load_json(self, _req: Any, schema: Any) -> Any:
        body = json_body()
        if body is missing and schema.is_body_required:
            raise Malformed("send a JSON body, at least {}", code="body_missing")
        return body

    def handle_error(self, error: Any, *_where: Any, **_how: Any) -> NoReturn:
        messages = next(iter(error.messages.values()))  # webargs wraps them in the name of the location
        raise Rejected("Validation failed.", code="invalid_request", errors=problems.flatten(messages)) from None


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A group of routes that document themselves. A route needs a token unless it is marked `auth.public`."""

    ARGUMENTS_PARSER = _StrictParser()

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        decorate: Callable[[View], View] = super().route(rule, **options)
        return decorate

    def arguments(self, schema: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Parse and check the body (or `location="query"`); the result is the view's first free argument.

        Without a body the request is refused (400 `body_missing`), unless `required=False`.
        """
        instance = _instance(schema)
        instance.is_body_required = options.get("required", True)
        decorate: Callable[[Callable[..., Any]], Callable[..., Any]] = super().arguments(instance, **options)
        return decorate

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Callable[[View], View]:
        decorate: Callable[[View], View] = super().response(status_code, _instance(schema), **options)
        return decorate

    def alt_response(self, status_code: int, response: str | None = None, **options: Any) -> Callable[[View], View]:
        decorate: Callable[[View], View] = super().alt_response(status_code, response, **options)
        return decorate

    def idempotent(self, *, required: bool = False) -> Callable[[View], View]:
        """Document the `Idempotency-Key` header; the view reads it."""
        return document(parameters=[IDEMPOTENCY_KEY | {"required": required}])


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest has no types
    """The OpenAPI document of one service, at /openapi.json."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask, name: str) -> None:
        self._document: dict[str, Any] | None = None
        app.config.update(
            API_TITLE=f"Holdfast {name}",
            API_VERSION="v1",
            OPENAPI_VERSION="3.1.0",
            OPENAPI_URL_PREFIX="/",
            API_SPEC_OPTIONS={"components": {"securitySchemes": BEARER}, "security": [{"bearer": []}]},
        )
        # Readable schema names: OrderSchema is shown as Order.
        super().__init__(app, spec_kwargs={"marshmallow_plugin": MarshmallowPlugin(_schema_name)})

    def _register_error_handlers(self) -> None:
        """Errors are handled by `common.web.problems`."""

    def _register_pagination_header(self) -> None:
        """Lists are paged by cursor, in the body: see `common.web.pagination`."""

    def _register_responses(self) -> None:
        """Errors are documented for each operation by `common.web.error_responses`."""
        self.spec.components.schema("Problem", schema=problems.ProblemSchema)

    def _openapi_json(self) -> Response:
        return jsonify(self.document())

    def document(self) -> dict[str, Any]:
        """The complete document. Call it after every route is registered."""
        if self._document is None:
            made = deepcopy(self.spec.to_dict())
            error_responses.complete(made, self._app.url_map, self._app.view_functions)
            self._document = made
        return self._document


def document(**manual: Any) -> Callable[[View], View]:
    """Add to a view's OpenAPI operation, as `Blueprint.doc` does, without wrapping the view once more."""

    def decorate(view: View) -> View:
        known = dict(getattr(view, "_apidoc", {}))
        known["manual_doc"] = known.get("manual_doc", {}) | manual
        view.__dict__["_apidoc"] = known
        return view

    return decorate


def _instance(schema: Any) -> Any:
    return schema() if isinstance(schema, type) else schema


def _schema_name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")
