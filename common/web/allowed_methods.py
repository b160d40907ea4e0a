"""The methods of a path, for `Allow` and OPTIONS requests.

A path without a variable part is a separate resource: if `/things/<name>` accepts GET and `/things/recall` accepts
POST, a GET of the latter is a 405, not the thing of that name. OPTIONS needs no token: it returns the same as a 405.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import Response, current_app, request
from flask.globals import request_ctx
from werkzeug.exceptions import MethodNotAllowed

if TYPE_CHECKING:
    from flask import Flask

_LITERALS = "methods_of_literal_paths"


def register(app: Flask) -> None:
    """Call it before authentication: like other 405s, this needs no token."""
    app.before_request(_refuse_pattern_matches)


def allow() -> str:
    """The methods of this request's path, as the value of `Allow`."""
    methods = _literals().get(request.path)
    if methods is None:
        adapter = request_ctx.url_adapter
        methods = set(adapter.allowed_methods()) if adapter is not None else set()
    return ", ".join(sorted(methods))


def options_response() -> Response:
    """The response to OPTIONS."""
    response = Response(status=204, headers={"Allow": allow()})
    response.headers.remove("Content-Type")
    return response


def is_automatic_options() -> bool:
    """Whether this is an OPTIONS request that no view answers."""
    rule = request.url_rule
    return request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False) is True


def _refuse_pattern_matches() -> None:
    rule = request.url_rule
    if rule is not None and rule.arguments and request.path in _literals():
        raise MethodNotAllowed


def _literals() -> dict[str, set[str]]:
    """The methods of each path without a variable part."""
    found = current_app.extensions.get(_LITERALS)
    if found is None:
        found = current_app.extensions[_LITERALS] = {}
        for rule in current_app.url_map.iter_rules():
            if not rule.arguments:
                found.setdefault(rule.rule, set()).update(rule.methods or ())
    return cast("dict[str, set[str]]", found)
