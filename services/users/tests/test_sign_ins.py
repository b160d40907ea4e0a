"""Password guesses are limited per network and per account, for existing and unknown accounts alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.storage.postgresql import autocommit, transaction
from services.users import usecases
from services.users.domain import MAX_FAILURES_PER_ACCOUNT, MAX_FAILURES_PER_NETWORK, SIGN_IN_WINDOW_SECONDS
from services.users.sign_ins import KNOWN_SECONDS, Attempt, record_failure
from services.users.tests.accounts import PASSWORD, answer, register

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine
    from werkzeug.test import TestResponse

pytestmark = pytest.mark.integration
HOME, OFFICE, ATTACKER = "192.0.2.1", "192.0.2.2", "203.0.113.7"


def attempt(client: FlaskClient, password: str, network: str, username: str = "johndoe") -> TestResponse:
    body = {"username": username, "password": password}
    return client.post("/api/v1/tokens", json=body, environ_base={"REMOTE_ADDR": network})


def guess_until_refused(client: FlaskClient, network: str, username: str = "johndoe") -> list[int]:
    return [attempt(client, "a wrong password", network, username).status_code for _ in range(12)]


def fail(engine: Engine, user_id: str, networks: int, each: int) -> None:
    with transaction(engine) as connection:
        for network in range(networks):
            for _ in range(each):
                record_failure(connection, Attempt(user_id, f"198.51.100.{network}"))


@pytest.mark.parametrize("username", ["johndoe", "nobody"])
def test_a_network_may_guess_ten_times(client: FlaskClient, username: str) -> None:
    register(client, password=PASSWORD)
    statuses = guess_until_refused(client, ATTACKER, username)
    assert statuses == [401] * MAX_FAILURES_PER_NETWORK + [429] * (12 - MAX_FAILURES_PER_NETWORK)
    refused = attempt(client, PASSWORD, ATTACKER, username)
    assert (refused.status_code, answer(refused)["code"]) == (429, "too_many_failed_sign_ins")
    assert 1 <= int(refused.headers["Retry-After"]) <= SIGN_IN_WINDOW_SECONDS + 5
    if username == "johndoe":
        assert attempt(client, PASSWORD, HOME).status_code == 200


def test_guesses_from_many_networks_are_limited_without_locking_out_the_owner(
    client: FlaskClient, engine: Engine
) -> None:
    user = register(client, password=PASSWORD)
    assert attempt(client, PASSWORD, HOME).status_code == 200
    fail(engine, user["id"], networks=MAX_FAILURES_PER_ACCOUNT // 5, each=5)
    assert attempt(client, PASSWORD, ATTACKER).status_code == 429
    assert attempt(client, PASSWORD, HOME).status_code == 200


def test_failures_from_a_known_network_do_not_count_against_the_account(client: FlaskClient, engine: Engine) -> None:
    user = register(client, password=PASSWORD)
    assert attempt(client, PASSWORD, HOME).status_code == 200
    fail(engine, user["id"], networks=1, each=MAX_FAILURES_PER_ACCOUNT - 1)
    assert [attempt(client, "wrong", HOME).status_code for _ in range(3)] == [401] * 3
    assert attempt(client, PASSWORD, OFFICE).status_code == 200


def test_a_success_resets_earlier_failures(client: FlaskClient) -> None:
    register(client, password=PASSWORD)
    for _ in range(3):
        assert [attempt(client, "wrong", HOME).status_code for _ in range(MAX_FAILURES_PER_NETWORK - 1)] == [401] * 9
        assert attempt(client, PASSWORD, HOME).status_code == 200


def test_failures_expire_after_the_window(client: FlaskClient, engine: Engine) -> None:
    register(client, password=PASSWORD)
    guess_until_refused(client, ATTACKER)
    age(engine, "failed_sign_ins", "first_at", SIGN_IN_WINDOW_SECONDS + 1)
    assert guess_until_refused(client, ATTACKER)[:2] == [401, 401]


def test_expired_sign_ins_are_deleted(client: FlaskClient, engine: Engine) -> None:
    register(client, password=PASSWORD)
    attempt(client, PASSWORD, HOME)
    attempt(client, "wrong", ATTACKER)
    assert usecases.prune_sign_ins(engine) == 0
    age(engine, "failed_sign_ins", "first_at", SIGN_IN_WINDOW_SECONDS + 1)
    age(engine, "known_networks", "last_at", KNOWN_SECONDS + 1)
    assert usecases.prune_sign_ins(engine) == 2
    assert usecases.prune_sign_ins(engine) == 0


def age(engine: Engine, table: str, column: str, seconds: float) -> None:
    with autocommit(engine) as connection:
        connection.execute(text(f"UPDATE {table} SET {column} = {column} - make_interval(secs => :s)"), {"s": seconds})
