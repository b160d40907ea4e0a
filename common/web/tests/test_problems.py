"""Errors from outside: each bad request gets its precise problem document."""

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from common.tests.sample_service import answer, bearer, make_app
from common.web.problems import MAX_FIELD_ERRORS, flatten

_GOOD = {"name": "a"}


def _post(path: str = "/things", **request: Any) -> TestResponse:
    return make_app().test_client().post(path, **request)


def _assert_problem(reply: TestResponse, status: int, code: str) -> dict[str, Any]:
    document: dict[str, Any] = answer(reply)
    assert (reply.status_code, document["code"]) == (status, code), document
    assert reply.content_type == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance", "code", "request_id"} <= set(document)
    assert document["status"] == status
    assert document["request_id"] == reply.headers["Request-Id"]
    return document


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 21}, "name"),
        (_GOOD | {"nane": 1}, "nane"),
        (_GOOD | {"count": 1.5}, "count"),
        (_GOOD | {"count": 1.0}, "count"),
        (_GOOD | {"count": "1"}, "count"),
        (_GOOD | {"count": True}, "count"),
        (_GOOD | {"count": 0}, "count"),
        (_GOOD | {"count": -1}, "count"),
        (_GOOD | {"count": 10**9}, "count"),
        (_GOOD | {"price": {"amount": 1, "currency": "xyz"}}, "price.currency"),
        (_GOOD | {"price": {"amount": 1, "currency": "USD"}}, "price.currency"),
        (_GOOD | {"price": {"amount": -1, "currency": "usd"}}, "price.amount"),
        (_GOOD | {"price": {"amount": 100_000_000, "currency": "usd"}}, "price.amount"),
        (_GOOD | {"price": {"amount": 1, "currency": "usd", "tax": 1}}, "price.tax"),
        (_GOOD | {"parts": [{"name": "a"}, {"name": ""}]}, "parts.1.name"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
        (1, "body"),
    ],
)
def test_a_wrong_field_is_named(body: Any, field: str) -> None:
    reply = _post(data=json.dumps(body), content_type="application/json")
    problem = _assert_problem(reply, 422, "invalid_request")
    assert field in problem["errors"]
    assert all(isinstance(text, str) for texts in problem["errors"].values() for text in texts)


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"name": "\\u0000"}', b'{"name": "a", "name": "b"}', b"", b"NaN"])
def test_malformed_json(body: bytes) -> None:
    _assert_problem(_post(data=body, content_type="application/json"), 400, "malformed_json")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "nonsense"},
        {},
    ],
)
def test_a_body_of_another_type(headers: dict[str, str]) -> None:
    _assert_problem(_post(data=json.dumps(_GOOD), headers=headers), 415, "unsupported_media_type")


def test_json_in_utf8_is_the_type_that_is_taken() -> None:
    for content_type in ("application/json", "application/json; charset=UTF-8", "application/merge-patch+json"):
        assert _post(data=json.dumps(_GOOD), content_type=content_type).status_code == 201


def test_no_body_at_all_is_said_to_be_missing() -> None:
    _assert_problem(_post(), 400, "body_missing")


def test_the_size_of_a_body_is_bounded_exactly() -> None:
    fits = json.dumps(_GOOD).encode().ljust(64 * 1024)
    assert _post(data=fits, content_type="application/json").status_code == 201
    _assert_problem(_post(data=fits + b" ", content_type="application/json"), 413, "body_too_large")
    _assert_problem(_post(data=fits * 10, content_type="application/json"), 413, "body_too_large")


def test_addresses_and_methods_that_do_not_exist() -> None:
    client = make_app().test_client()
    _assert_problem(client.get("/nowhere"), 404, "not_found")
    reply = client.put("/things")
    _assert_problem(reply, 405, "method_not_allowed")
    assert "POST" in reply.headers["Allow"]


@pytest.mark.parametrize(
    "address",
    [
        {"PATH_INFO": "/things/\x00"},
        {"PATH_INFO": "/things/\xff"},
        {"PATH_INFO": "/\xc0\x80"},
        {"QUERY_STRING": "limit=%00"},
        {"QUERY_STRING": "limit=%ff"},
        {"QUERY_STRING": "%ff"},
        {"QUERY_STRING": "limit=\xff"},
    ],
)
def test_addresses_that_are_not_text(address: dict[str, str]) -> None:
    reply = make_app().test_client().get("/things", headers=bearer(), environ_overrides=address)
    _assert_problem(reply, 400, "malformed_request")


def test_a_refusal_of_the_domain_shows_its_code_and_fields() -> None:
    problem = _assert_problem(_post("/things/fail/domain"), 409, "thing_gone")
    assert problem["detail"] == "the thing is gone"
    assert problem["errors"] == {"name": ["gone"]}
    assert problem["type"] == "urn:holdfast:problem:thing_gone"
    assert problem["instance"] == "/things/fail/domain"


def test_a_fault_is_logged_and_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    reply = _post("/things/fail/secretly", headers={"Request-Id": "find-me"})
    _assert_problem(reply, 500, "internal_error")
    assert "hunter2" not in reply.get_data(as_text=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = next(line for line in lines if line["level"] == "error")
    assert "hunter2" in logged["exception"]
    assert logged["correlation_id"] == "find-me"


def test_an_outage_says_when_to_come_back() -> None:
    waits = set()
    for _ in range(30):
        reply = _post("/things/fail/outage")
        _assert_problem(reply, 503, "unavailable")
        assert "10.0.0.1" not in reply.get_data(as_text=True)
        waits.add(int(reply.headers["Retry-After"]))
    assert waits == {1, 2, 3}


def test_what_is_undecided_is_asked_for_again_later() -> None:
    reply = _post("/things/fail/undecided")
    _assert_problem(reply, 503, "undecided")
    assert int(reply.headers["Retry-After"]) >= 5


def test_the_number_of_field_errors_is_bounded() -> None:
    assert len(flatten({str(number): ["wrong"] for number in range(10_000)})) == MAX_FIELD_ERRORS
