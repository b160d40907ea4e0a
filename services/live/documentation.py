"""Parts of the OpenAPI document besides the routes: the stream's format, the problems, the token."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": _TEXT,
        "code": {"type": "string", "description": "stable, for programs"},
        "request_id": _TEXT,
    },
}
_EXAMPLE = (
    "retry: 1700\nid: 1041\n\n"
    'id: 1042\ndata: {"id":"01928f6d-11aa-7c21-8d43-5b7e9f00c2d1","type":"order.confirmed.v1",...}\n\n'
    ": heartbeat\nid: 1077\n\n"
    'event: end\ndata: {"reason":"token_expired"}\n\n'
)


def _problem(description: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": reference}}}


STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events. `data` is one line of JSON: id, type, source, subject, sequence, time, "
        "orderid and data of an event. A last event `end` gives the reason for the end of the stream "
        "(`token_expired`, `slow_client`, `unavailable`, `restart`): resume with `Last-Event-ID`.",
        "content": {"text/event-stream": {"schema": _TEXT, "example": _EXAMPLE}},
    },
    400: _problem("`invalid_last_event_id`: not an id of a stream; `unknown_last_event_id`: not sent yet"),
    401: _problem("no token, or an invalid one"),
    404: _problem("no such order, or not yours"),
    429: _problem("`too_many_streams`: you have reached the limit of open streams per caller"),
    503: _problem("the archive does not answer, or this process has reached its limit of streams"),
}


def complete(generated: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document, with the parts that all services share."""
    components = generated.setdefault("components", {})
    components["schemas"] = {"Problem": _PROBLEM}
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    generated["security"] = [{"bearer": []}]
    for path in generated["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # FastAPI's default, which no route here returns
            operation["responses"]["default"] = _problem("any other error")
            operation["responses"]["200"]["content"].pop("application/json", None)
    return generated
