"""The internal route that returns an address: its access control."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.messaging.events import new_id
from common.storage.migrations import upgrade
from common.storage.postgresql import autocommit
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


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


@pytest.mark.integration
@pytest.mark.parametrize("credential", [CONTACT_TOKEN, NEXT_CONTACT_TOKEN])
def test_each_credential_gets_the_address_of_now(client: FlaskClient, engine: Engine, credential: str) -> None:
    address = f"/internal/v1/users/{register(client)['id']}/contact"
    assert answer(client.get(address, headers=bearer(credential))) == JOHN
    with autocommit(engine) as connection:
        connection.execute(text("UPDATE users SET email = 'new@example.com'"))
    assert answer(client.get(address, headers=bearer(credential)))["email"] == "new@example.com"


@pytest.mark.integration
def test_a_user_that_is_not_there_is_not_found(client: FlaskClient) -> None:
    reply = client.get(ADDRESS, headers=bearer(CONTACT_TOKEN))
    assert (reply.status_code, answer(reply)["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "headers",
    [{}, bearer(""), bearer("wrong"), bearer(CONTACT_TOKEN[:-1]), bearer(f"{CONTACT_TOKEN},{NEXT_CONTACT_TOKEN}"),
     bearer("\u00e4" * 32), {"Authorization": f"Basic {CONTACT_TOKEN}"}, {"Authorization": CONTACT_TOKEN}],
)  # fmt: skip
def test_without_a_credential_it_says_nothing(lonely_client: FlaskClient, headers: dict[str, str]) -> None:
    reply = lonely_client.get(ADDRESS, headers=headers)
    assert (reply.status_code, answer(reply)["code"]) == (401, "unauthenticated")
    assert "WWW-Authenticate" in reply.headers


@pytest.mark.integration
def test_no_token_opens_it_and_the_credential_opens_nothing_else(client: FlaskClient, engine: Engine) -> None:
    user = register(client, password=PASSWORD)
    with autocommit(engine) as connection:
        connection.execute(text("UPDATE users SET role = 'operator'"))
    operator = sign_in(client, username="johndoe", password=PASSWORD)
    assert client.get(f"/internal/v1/users/{user['id']}/contact", headers=operator).status_code == 401
    assert client.get("/api/v1/users/me", headers=bearer(CONTACT_TOKEN)).status_code == 401


def test_without_a_setting_nobody_gets_in() -> None:
    client = create_app(replace(settings(NOWHERE), contact_tokens="")).test_client()
    for credential in ("", CONTACT_TOKEN):
        assert client.get(ADDRESS, headers=bearer(credential)).status_code == 401


def test_guesses_are_limited() -> None:
    quota = "GET /internal/v1/users/<uuid:user_id>/contact=3/hour"
    client = create_app(replace(settings(NOWHERE), rate_limit_routes=quota)).test_client()
    statuses = [client.get(ADDRESS, headers=bearer("wrong")).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]


@pytest.mark.integration
def test_the_address_is_in_no_log_line(database: Callable[[], str], capfd: pytest.CaptureFixture[str]) -> None:
    url = database()
    upgrade("users", url)
    app = create_app(replace(settings(url), log_level="DEBUG"))
    user = register(app.test_client())
    reply = app.test_client().get(f"/internal/v1/users/{user['id']}/contact", headers=bearer(CONTACT_TOKEN))
    assert answer(reply)["email"] == JOHN["email"]
    app.extensions["context"].engine.dispose()
    output = "".join(capfd.readouterr())
    assert f"/internal/v1/users/{user['id']}/contact" in output
    assert JOHN["email"] not in output
    assert CONTACT_TOKEN not in output
