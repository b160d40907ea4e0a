from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import IntegrityError

from common.messaging.events import new_id, utc_now
from common.storage.postgresql import transaction
from services.users import models
from services.users.domain import ApiKey, EmailTakenError, Role, User, UsernameTakenError

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration


def _user(**changes: Any) -> User:
    user = User(
        id=new_id(),
        username="John.Doe",
        email="John@example.com",
        role=Role.OPERATOR,
        password_hash="h",
        version=1,
        created_at=utc_now(),
    )
    return replace(user, **changes)


def test_a_user_is_read_as_written(engine: Engine) -> None:
    user = _user()
    with transaction(engine) as connection:
        models.insert_user(connection, user)
    with transaction(engine) as connection:
        assert models.get_user(connection, user.id) == user
        assert models.find_user(connection, username="john.doe") == user
        assert models.find_user(connection, email="JOHN@EXAMPLE.COM") == user
        assert models.find_user(connection, username="john") is None
        assert models.get_user(connection, new_id()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"email": "other@example.com"}, UsernameTakenError),
        ({"username": "other"}, EmailTakenError),
        ({"username": "JOHN.doe", "email": "other@example.com"}, UsernameTakenError),
    ],
)
def test_a_duplicate_username_or_address_is_named(
    engine: Engine, changes: dict[str, str], expected: type[Exception]
) -> None:
    with transaction(engine) as connection:
        models.insert_user(connection, _user())
    with pytest.raises(expected), transaction(engine) as connection:
        models.insert_user(connection, _user(**changes))


def test_other_constraint_violations_are_raised(engine: Engine) -> None:
    user = _user()
    with transaction(engine) as connection:
        models.insert_user(connection, user)
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        models.insert_user(connection, _user(id=user.id, username="other", email="o@example.com"))


def test_a_key_identifies_its_owner_and_only_they_can_delete_it(engine: Engine) -> None:
    owner, other = _user(), _user(username="other", email="o@example.com")
    key = ApiKey(id=new_id(), user_id=owner.id, digest=b"\x00\xff", hint="hf_...", created_at=utc_now())
    with transaction(engine) as connection:
        for user in (owner, other):
            models.insert_user(connection, user)
        models.insert_key(connection, key)
        assert models.find_user_of_key(connection, b"\x00\xff") == owner
        assert models.find_user_of_key(connection, b"\x00") is None
        assert models.list_keys(connection, owner.id, before=None, limit=5) == [key]
        assert models.list_keys(connection, owner.id, before=key.id, limit=5) == []
        assert not models.delete_key(connection, other.id, key.id)
        assert models.delete_key(connection, owner.id, key.id)
        assert models.find_user_of_key(connection, b"\x00\xff") is None
