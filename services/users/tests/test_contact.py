"""The internal routes that return addresses: their access control."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from common.messaging.events import new_id
from common.storage.migrations import upgrade
from common.storage.postgresql import autocommit
from services.users.domain import MAX_CONTACTS
from services.users.main import create_app
from services.users.tests.accounts import (
    CONTACT_TOKEN,
    JOHN,
    NEXT_CONTACT_TOKEN,
    NOWHERE,
    PASSWORD,
    answer,
    register,
    settings,
    sign_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient
    from sqlalchemy import Engine

ADDRESS = f"/internal/v1/users/{new_id()}/contact"
SEVERAL = "/internal/v1/contacts"


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


@pytest.mark.integration
@pytest.mark.parametrize("credential", [CONTACT_TOKEN, NEXT_CONTACT_TOKEN])
def test_each_credential_gets_the_current_address(client: FlaskClient, engine: Engine, credential: str) -> None:
    address = f"/internal/v1/users/{register(client)['id']}/contact"
    assert answer(client.get(address, headers=bearer(credential))) == JOHN
    with autocommit(engine) as connection:
        connection.execute(text("UPDATE users SET email = 'new@example.com'"))
    assert answer(client.get(address, headers=bearer(credential)))["email"] == "new@example.com"


@pytest.mark.integration
def test_an_unknown_user_is_not_found(client: FlaskClient) -> None:
    reply = client.get(ADDRESS, headers=bearer(CONTACT_TOKEN))
    assert (reply.status_code, answer(reply)["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "headers",
    [{}, bearer(""), bearer("wrong"), bearer(CONTACT_TOKEN[:-1]), bearer(f"{CONTACT_TOKEN},{NEXT_CONTACT_TOKEN}"),
     bearer("\u00e4" * 32), {"Authorization": f"Basic {CONTACT_TOKEN}"}, {"Authorization": CONTACT_TOKEN}],
)  # fmt: skip
def test_requests_without_a_credential_are_rejected(lonely_client: FlaskClient, headers: dict[str, str]) -> None:
    for reply in (
        lonely_client.get(ADDRESS, headers=headers),
        lonely_client.post(SEVERAL, headers=headers, json={"user_ids": [new_id()]}),
        lonely_client.post(SEVERAL, headers=headers, data="{"),
    ):
        assert (reply.status_code, answer(reply)["code"]) == (401, "unauthenticated")
        assert "WWW-Authenticate" in reply.headers


@pytest.mark.integration
def test_access_tokens_are_rejected_and_the_credential_is_valid_only_here(client: FlaskClient, engine: Engine) -> None:
    user = register(client, password=PASSWORD)
    with autocommit(engine) as connection:
        connection.execute(text("UPDATE users SET role = 'operator'"))
    operator = sign_in(client, username="johndoe", password=PASSWORD)
    assert client.get(f"/internal/v1/users/{user['id']}/contact", headers=operator).status_code == 401
    assert client.post(SEVERAL, headers=operator, json={"user_ids": [user["id"]]}).status_code == 401
    assert client.get("/api/v1/users/me", headers=bearer(CONTACT_TOKEN)).status_code == 401


def test_without_configured_credentials_all_requests_are_rejected() -> None:
    client = create_app(replace(settings(NOWHERE), contact_tokens="")).test_client()
    for credential in ("", CONTACT_TOKEN):
        assert client.get(ADDRESS, headers=bearer(credential)).status_code == 401
        assert client.post(SEVERAL, headers=bearer(credential), json={"user_ids": [new_id()]}).status_code == 401


@pytest.mark.parametrize(
    ("route", "method", "address"),
    [("GET /internal/v1/users/<uuid:user_id>/contact", "GET", ADDRESS), (f"POST {SEVERAL}", "POST", SEVERAL)],
)
def test_credential_guesses_are_rate_limited(route: str, method: str, address: str) -> None:
    client = create_app(replace(settings(NOWHERE), rate_limit_routes=f"{route}=3/day")).test_client()
    statuses = [client.open(address, method=method, headers=bearer("wrong")).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_both_routes_have_separate_limits(lonely_client: FlaskClient, method: str) -> None:
    address = ADDRESS if method == "GET" else SEVERAL
    reply = lonely_client.open(address, method=method, headers=bearer("wrong"))
    assert "q=6000;w=60" in reply.headers["RateLimit-Policy"]


@pytest.mark.integration
@pytest.mark.parametrize("credential", [CONTACT_TOKEN, NEXT_CONTACT_TOKEN])
def test_each_credential_gets_the_addresses_of_existing_users(client: FlaskClient, credential: str) -> None:
    bodies = [JOHN, {"username": "jane", "email": "jane@example.com"}]
    ids = [register(client, **body)["id"] for body in bodies]
    for asked in ([*ids, new_id()], [*ids, *ids]):
        reply = client.post(SEVERAL, headers=bearer(credential), json={"user_ids": asked})
        assert reply.status_code == 200
        contacts = sorted(answer(reply)["contacts"], key=lambda each: str(each["user_id"]))
        expected = [{"user_id": user_id} | body for user_id, body in zip(ids, bodies, strict=True)]
        assert contacts == sorted(expected, key=lambda each: str(each["user_id"]))
    reply = client.post(SEVERAL, headers=bearer(credential), json={"user_ids": [new_id()]})
    assert answer(reply) == {"contacts": []}


@pytest.mark.parametrize(
    "body",
    [{}, [], {"user_ids": []}, {"user_ids": None}, {"user_ids": new_id()}, {"user_ids": [1]}, {"user_ids": ["x"]},
     {"user_ids": [new_id().upper() + "0"]}, {"user_ids": [new_id()], "more": 1},
     {"user_ids": [new_id() for _ in range(MAX_CONTACTS + 1)]}],
)  # fmt: skip
def test_an_invalid_list_of_users_is_rejected(lonely_client: FlaskClient, body: Any) -> None:
    reply = lonely_client.post(SEVERAL, headers=bearer(CONTACT_TOKEN), json=body)
    assert (reply.status_code, answer(reply)["code"]) == (422, "invalid_request")
    assert reply.mimetype == "application/problem+json"


@pytest.mark.integration
def test_the_maximum_number_of_users_is_returned(client: FlaskClient) -> None:
    body = {"user_ids": [new_id() for _ in range(MAX_CONTACTS)]}
    assert answer(client.post(SEVERAL, headers=bearer(CONTACT_TOKEN), json=body)) == {"contacts": []}


@pytest.mark.integration
def test_the_address_is_in_no_log_line(database: Callable[[], str], capfd: pytest.CaptureFixture[str]) -> None:
    url = database()
    upgrade("users", url)
    app = create_app(replace(settings(url), log_level="DEBUG"))
    user = register(app.test_client())
    reply = app.test_client().get(f"/internal/v1/users/{user['id']}/contact", headers=bearer(CONTACT_TOKEN))
    assert answer(reply)["email"] == JOHN["email"]
    reply = app.test_client().post(SEVERAL, headers=bearer(CONTACT_TOKEN), json={"user_ids": [user["id"]]})
    assert answer(reply)["contacts"][0]["email"] == JOHN["email"]
    app.extensions["context"].engine.dispose()
    output = "".join(capfd.readouterr())
    assert f"/internal/v1/users/{user['id']}/contact" in output
    assert SEVERAL in output
    assert JOHN["email"] not in output
    assert CONTACT_TOKEN not in output
