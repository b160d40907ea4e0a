"""Use cases called directly, including events between two of their transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import text

from common.errors import Conflict, NotFound
from common.messaging.events import MessageContext, new_id
from common.storage.postgresql import transaction
from common.web.idempotency import RequestKey
from services.users import usecases
from services.users.domain import InvalidCredentialsError, Role
from services.users.tests.accounts import JOHN, PASSWORD
from services.users.usecases import Context, Credentials, RegisterUser

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.integration
MESSAGE_CONTEXT = MessageContext(correlation_id="test")
NETWORK = "192.0.2.1"


@pytest.fixture
def context(app: Flask) -> Context:
    return cast("Context", app.extensions["context"])


def _count(context: Context, table: str) -> int:
    with transaction(context.engine) as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_a_rejected_registration_is_rolled_back_and_frees_its_key(context: Context) -> None:
    key = RequestKey("anybody POST /users", "k", "f")
    usecases.register_user(
        context, RegisterUser(**JOHN), network=NETWORK, message_context=MESSAGE_CONTEXT, request_key=None
    )
    with pytest.raises(Conflict):
        usecases.register_user(
            context, RegisterUser(**JOHN), network=NETWORK, message_context=MESSAGE_CONTEXT, request_key=key
        )
    assert [_count(context, table) for table in ("users", "outbox", "idempotency_replies")] == [1, 1, 0]
    other = RegisterUser(username="other", email="o@example.com")
    assert not usecases.register_user(
        context, other, network=NETWORK, message_context=MESSAGE_CONTEXT, request_key=key
    ).replayed


def test_a_token_of_an_unknown_user_finds_no_user(context: Context) -> None:
    with pytest.raises(NotFound):
        usecases.get_user(context, new_id())
    with pytest.raises(NotFound):
        usecases.create_api_key(context, new_id(), request_key=None)
    assert _count(context, "api_keys") == 0


def test_an_api_key_is_created_once_per_idempotency_key(context: Context) -> None:
    user = usecases.register_user(
        context, RegisterUser(**JOHN), network=NETWORK, message_context=MESSAGE_CONTEXT, request_key=None
    ).body
    key = RequestKey(f"{user['id']} POST /api-keys", "k", "f")
    first, again = (usecases.create_api_key(context, user["id"], request_key=key) for _ in range(2))
    assert (again.replayed, again.body["id"]) == (True, first.body["id"])
    assert "api_key" not in again.body
    assert _count(context, "api_keys") == 2


def test_ensuring_an_account_sets_its_role_and_password(context: Context) -> None:
    engine, passwords = context.engine, context.passwords
    command = RegisterUser(username="boss", email="b@example.com", password=PASSWORD)
    assert usecases.ensure_account(engine, passwords, command, message_context=MESSAGE_CONTEXT)
    assert not usecases.ensure_account(engine, passwords, command, message_context=MESSAGE_CONTEXT)
    promoted = RegisterUser(username="boss", email="b@example.com", password=PASSWORD, role=Role.OPERATOR)
    assert usecases.ensure_account(engine, passwords, promoted, message_context=MESSAGE_CONTEXT)
    usecases.issue_token(context, Credentials(username="boss", password=PASSWORD), network=NETWORK)
    with pytest.raises(InvalidCredentialsError):
        usecases.issue_token(context, Credentials(username="boss", password="other"), network=NETWORK)
