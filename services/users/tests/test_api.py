"""The routes on a real database, as a shop uses them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, text

from common.messaging.events import from_json
from common.security.jwks import StaticKeys, parse
from common.security.tokens import Caller, Verifier
from common.storage.postgresql import transaction
from services.users.tests.accounts import JOHN, PASSWORD, THREADS, answer, register, sign_in

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

pytestmark = pytest.mark.integration


def _rows(engine: Engine, query: str) -> list[Any]:
    with transaction(engine) as connection:
        return list(connection.execute(text(query)).scalars())


def test_registering_without_a_password_returns_a_working_key(client: FlaskClient) -> None:
    user = register(client)
    assert set(user) == {"id", "username", "email", "role", "version", "created_at", "api_key"}
    me = answer(client.get("/api/v1/users/me", headers=sign_in(client, api_key=user["api_key"])))
    assert me == {name: value for name, value in user.items() if name != "api_key"}


def test_registering_with_a_password_returns_no_key(client: FlaskClient) -> None:
    assert "api_key" not in register(client, password=PASSWORD)
    for who in ({"username": "JohnDoe"}, {"email": "JOHN.DOE@example.com"}):
        sign_in(client, password=PASSWORD, **who)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "username_taken"),
        ({"email": "other@example.com"}, "username_taken"),
        ({"username": "JOHNDOE", "email": "other@example.com"}, "username_taken"),
        ({"username": "other"}, "email_taken"),
        ({"username": "other", "email": "John.Doe@Example.com"}, "email_taken"),
    ],
)
def test_usernames_and_addresses_are_unique(client: FlaskClient, body: dict[str, str], code: str) -> None:
    register(client)
    reply = client.post("/api/v1/users", json=JOHN | body)
    assert (reply.status_code, answer(reply)["code"]) == (409, code)


def test_each_registration_is_published_once_with_the_message_context(client: FlaskClient, engine: Engine) -> None:
    reply = client.post("/api/v1/users", json=JOHN, headers={"Request-Id": "r-1"})
    client.post("/api/v1/users", json=JOHN)
    (event,) = [from_json(body) for body in _rows(engine, "SELECT body FROM outbox")]
    user = answer(reply)
    assert (event.type, event.subject, event.sequence) == ("user.registered.v1", user["id"], user["version"])
    assert event.correlationid == "r-1"
    assert event.data == {"user_id": user["id"], "username": "johndoe"}


def test_secrets_are_not_stored_in_the_database(client: FlaskClient, engine: Engine) -> None:
    keyed = client.post("/api/v1/users", json=JOHN, headers={"Idempotency-Key": "k"})
    other = {"username": "other", "email": "o@example.com", "password": PASSWORD}
    client.post("/api/v1/users", json=other, headers={"Idempotency-Key": "l"})
    tables = ("users", "api_keys", "outbox", "idempotency_replies")
    kept = " ".join(row for table in tables for row in _rows(engine, f"SELECT t::text FROM {table} AS t"))
    assert answer(keyed)["api_key"] not in kept
    assert PASSWORD not in kept
    assert "john.doe@example.com" in kept


@pytest.mark.parametrize(
    "credentials",
    [
        {"username": "johndoe", "password": "wrong"},
        {"username": "nobody", "password": PASSWORD},
        {"email": "nobody@example.com", "password": PASSWORD},
        {"username": "keyed", "password": PASSWORD},
        {"api_key": "hf_wrong"},
        {"api_key": "ключ"},
    ],
)
def test_all_wrong_credentials_get_the_same_response(client: FlaskClient, credentials: dict[str, str]) -> None:
    register(client, password=PASSWORD)
    register(client, username="keyed", email="k@example.com")
    reply = client.post("/api/v1/tokens", json=credentials)
    problem = answer(reply)
    assert (reply.status_code, problem["code"]) == (401, "invalid_credentials")
    assert problem["detail"] == "these credentials are not valid"
    assert "invalid_token" not in reply.headers["WWW-Authenticate"]


def test_a_token_is_verified_with_the_published_keys_alone(client: FlaskClient) -> None:
    user = register(client)
    token = answer(client.post("/api/v1/tokens", json={"api_key": user["api_key"]}))
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)
    keys = parse(answer(client.get("/.well-known/jwks.json")))
    assert Verifier(StaticKeys(keys)).verify(token["access_token"]) == Caller(user["id"], "customer")


def test_api_keys_are_listed_used_and_deleted(client: FlaskClient) -> None:
    headers = sign_in(client, api_key=register(client)["api_key"])
    made = answer(client.post("/api/v1/api-keys", headers=headers))
    listed = answer(client.get("/api/v1/api-keys", headers=headers))["data"]
    assert len(listed) == 2
    assert listed[0] == {name: made[name] for name in ("id", "hint", "created_at")}
    sign_in(client, api_key=made["api_key"])
    assert client.delete(f"/api/v1/api-keys/{made['id']}", headers=headers).status_code == 204
    assert client.post("/api/v1/tokens", json={"api_key": made["api_key"]}).status_code == 401
    assert client.delete(f"/api/v1/api-keys/{made['id']}", headers=headers).status_code == 404


def test_pages_contain_every_key_once(client: FlaskClient) -> None:
    headers = sign_in(client, api_key=register(client)["api_key"])
    for _ in range(6):
        client.post("/api/v1/api-keys", headers=headers)
    seen: list[str] = []
    query = "limit=3"
    while query:
        page = answer(client.get(f"/api/v1/api-keys?{query}", headers=headers))
        seen += [key["id"] for key in page["data"]]
        query = f"limit=3&starting_after={seen[-1]}" if page["has_more"] else ""
    assert len(seen) == 7
    assert seen == sorted(set(seen), reverse=True)


def test_keys_of_other_users_are_not_found(client: FlaskClient) -> None:
    mine = sign_in(client, api_key=register(client)["api_key"])
    others = sign_in(client, api_key=register(client, username="other", email="o@example.com")["api_key"])
    (key,) = answer(client.get("/api/v1/api-keys", headers=others))["data"]
    reply = client.delete(f"/api/v1/api-keys/{key['id']}", headers=mine)
    assert (reply.status_code, answer(reply)["code"]) == (404, "not_found")
    assert len(answer(client.get("/api/v1/api-keys", headers=others))["data"]) == 1


def test_a_repeated_idempotency_key_returns_the_same_user_without_the_secret(client: FlaskClient) -> None:
    first = client.post("/api/v1/users", json=JOHN, headers={"Idempotency-Key": "k"})
    again = client.post("/api/v1/users", json=JOHN, headers={"Idempotency-Key": '"k"'})
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert answer(first) == answer(again) | {"api_key": answer(first)["api_key"]}
    reused = client.post("/api/v1/users", json=JOHN | {"username": "other"}, headers={"Idempotency-Key": "k"})
    assert (reused.status_code, answer(reused)["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("keyed", [True, False])
def test_twenty_concurrent_registrations_create_one_user(app: Flask, engine: Engine, keyed: bool) -> None:
    headers = {"Idempotency-Key": "k"} if keyed else {}

    def attempt(_number: int) -> tuple[int, str]:
        reply = app.test_client().post("/api/v1/users", json=JOHN, headers=headers)
        return reply.status_code, answer(reply).get("code", "")

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = Counter(pool.map(attempt, range(THREADS)))
    refusal = (409, "idempotency_key_in_flight") if keyed else (409, "username_taken")
    assert set(outcomes) <= {(201, ""), refusal}
    assert outcomes[(201, "")] == 1 or keyed
    for table in ("users", "outbox", "api_keys"):
        assert _rows(engine, f"SELECT count(*) FROM {table}") == [1]
