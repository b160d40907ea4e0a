"""The documented errors of a service, and the detection of undocumented ones."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Response

from common.tests.documented_replies import undocumented
from common.tests.sample_service import answer, make_app
from common.web import problems

ANYWHERE = {"400", "408", "413", "414", "417", "429", "431", "500", "503"}


def _document() -> dict[str, Any]:
    document: dict[str, Any] = answer(make_app().test_client().get("/openapi.json"))
    return document


def _codes(document: dict[str, Any], path: str, method: str, status: int) -> set[str]:
    response = document["paths"][path][method]["responses"][str(status)]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return set(response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"])


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/things/sign-in", "post", {"200"}),
        ("/things", "post", {"201", "409", "415", "422"}),
        ("/things", "get", {"200", "401", "422"}),
        ("/things/{name}", "get", {"200", "401", "404", "405"}),
        ("/things/fail/{how}", "post", {"200", "404", "409"}),
        ("/things/recall", "post", {"200", "401", "403", "415", "422"}),
    ],
)
def test_an_operation_documents_every_status_that_it_can_return(path: str, method: str, statuses: set[str]) -> None:
    assert set(_document()["paths"][path][method]["responses"]) == ANYWHERE | statuses


def test_a_status_names_its_codes() -> None:
    document = _document()
    assert _codes(document, "/things", "get", 401) == {"unauthenticated", "invalid_token", "token_expired"}
    assert _codes(document, "/things", "get", 400) == {"malformed_request"}
    assert _codes(document, "/things/recall", "post", 400) == {"malformed_request", "malformed_json", "body_missing"}
    assert _codes(document, "/things", "post", 409) == {"idempotency_key_in_flight"}
    assert _codes(document, "/things", "post", 422) == {"invalid_request", "idempotency_key_reused"}
    assert _codes(document, "/things/fail/{how}", "post", 409) == {"thing_gone"}


def test_a_reply_names_its_headers() -> None:
    document = _document()
    assert set(document["components"]["responses"]["Error503"]["headers"]) == {"Request-Id", "Retry-After"}
    assert set(document["components"]["responses"]["Error401"]["headers"]) == {"Request-Id", "WWW-Authenticate"}
    created = document["paths"]["/things"]["post"]["responses"]["201"]
    assert set(created["headers"]) == {"Request-Id", "Idempotent-Replayed"}


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (Response(status=201, content_type="application/json"), None),
        (Response(status=201, content_type="text/html"), "201 as text/html"),
        (Response(status=418), "418"),
        ((422, "invalid_request"), None),
        ((422, "thing_gone"), "422 thing_gone"),
    ],
)
def test_a_reply_that_is_not_documented_is_noticed(reply: Any, what: str | None) -> None:
    app = make_app()
    with app.test_request_context("/things", method="POST"):
        if isinstance(reply, tuple):
            status, code = reply
            reply = problems.problem(status, code, "no")
        assert undocumented(app, reply) == what
