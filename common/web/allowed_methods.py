"""Which methods an address has, as `Allow` and an OPTIONS request say it.

An address that a route spells out is a resource of its own: where `/things/<name>` takes GET and `/things/recall` takes
POST, a GET of the latter is not the thing of that name, but 405. OPTIONS needs no token: it says what a 405 says.
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
    """Call it before whatever asks for a token: as with other 405s, what is not there needs none."""
    app.before_request(_refuse_what_only_a_pattern_matches)


def allow() -> str:
    """The methods of this request's address, as the value of `Allow`."""
    methods = _literals().get(request.path)
    if methods is None:
        adapter = request_ctx.url_adapter
        methods = set(adapter.allowed_methods()) if adapter is not None else set()
    return ", ".join(sorted(methods))


def options_response() -> Response:
    """The answer to OPTIONS."""
    response = Response(status=204, headers={"Allow": allow()})
    response.headers.remove("Content-Type")
    return response


def is_automatic_options() -> bool:
    """Whether this is an OPTIONS request that no view answers."""
    rule = request.url_rule
    return request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False) is True


def _refuse_what_only_a_pattern_matches() -> None:
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
