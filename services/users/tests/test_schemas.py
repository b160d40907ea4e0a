"""Invalid input is rejected field by field, before the database is needed."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from services.users.schemas import UserRequestSchema
from services.users.tests.accounts import JOHN, answer

_GOOD_NAMES = ["a", "johndoe", "John.Doe-42_x", "0", "x" * 50]
_GOOD_ADDRESSES = ["john.doe@example.com", "a+b@mail.example.co.uk", "o'neil@x-y.example", "root@localhost"]


@pytest.mark.parametrize("username", _GOOD_NAMES)
def test_valid_usernames_are_accepted(username: str) -> None:
    assert UserRequestSchema().validate(JOHN | {"username": username}) == {}


@pytest.mark.parametrize("email", _GOOD_ADDRESSES)
def test_valid_addresses_are_accepted(email: str) -> None:
    assert UserRequestSchema().validate(JOHN | {"email": email}) == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "x" * 51}, "username"),
        ({"username": "-john"}, "username"),
        ({"username": "john doe"}, "username"),
        ({"username": "john\n"}, "username"),
        ({"username": "jоhn"}, "username"),  # noqa: RUF001 - a Cyrillic o, on purpose
        ({"username": 42}, "username"),
        ({"username": ["john"]}, "username"),
        ({"username": None}, "username"),
        ({"email": "john"}, "email"),
        ({"email": "john@"}, "email"),
        ({"email": "@example.com"}, "email"),
        ({"email": "a@b@c"}, "email"),
        ({"email": "a b@example.com"}, "email"),
        ({"email": "a@example.com\n"}, "email"),
        ({"email": "a@" + "b" * 60_000}, "email"),
        ({"email": "a@-example.com"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"password": 12345678}, "password"),
        ({"password": None}, "password"),
        ({"role": "operator"}, "role"),
        ({"id": "mine"}, "id"),
    ],
)
def test_invalid_registrations_are_rejected(lonely_client: FlaskClient, changes: dict[str, Any], field: str) -> None:
    reply = lonely_client.post("/api/v1/users", json=JOHN | changes)
    assert (reply.status_code, answer(reply)["code"]) == (422, "invalid_request")
    assert list(answer(reply)["errors"]) == [field]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "a"},
        {"password": "a"},
        {"username": "a", "email": "a@b", "password": "a"},
        {"api_key": "a", "password": "a"},
        {"api_key": "a", "username": "a"},
        {"api_key": ""},
        {"api_key": "x" * 256},
        {"username": "a", "password": "x" * 1025},
        {"username": "a", "password": "a", "otp": "1"},
        {"username": "a", "password": True},
    ],
)
def test_malformed_credentials_are_rejected(lonely_client: FlaskClient, body: dict[str, Any]) -> None:
    reply = lonely_client.post("/api/v1/tokens", json=body)
    assert (reply.status_code, answer(reply)["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("raw", [b'{"username": "a\\u0000"}', b'{"username": "\\ud800"}', b"\xff", b"{", b"[" * 9999])
def test_malformed_bodies_are_rejected(lonely_client: FlaskClient, raw: bytes) -> None:
    reply = lonely_client.post("/api/v1/users", data=raw, content_type="application/json")
    assert (reply.status_code, answer(reply)["code"]) == (400, "malformed_json")
