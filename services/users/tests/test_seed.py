from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.storage.postgresql import transaction
from services.users import seed
from services.users.tests.accounts import answer, sign_in

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.integration


def _seed(engine: Engine, operator: str, customer: str) -> None:
    url = engine.url.render_as_string(hide_password=False)
    seed.seed(
        seed.Settings(
            log_level="WARNING",
            database_url=url,
            database_timeout_seconds=60,
            operator_password=operator,
            customer_password=customer,
        )
    )


def test_accounts_are_created_with_their_roles(client: FlaskClient, engine: Engine) -> None:
    _seed(engine, "operator-secret", "customer-secret")
    for name in ("operator", "customer"):
        headers = sign_in(client, username=name, password=f"{name}-secret")
        assert answer(client.get("/api/v1/users/me", headers=headers))["role"] == name


def test_a_second_run_updates_only_a_changed_password(client: FlaskClient, engine: Engine) -> None:
    _seed(engine, "operator-secret", "customer-secret")
    _seed(engine, "operator-secret", "customer-secret")
    _seed(engine, "operator-changed", "customer-secret")
    sign_in(client, username="operator", password="operator-changed")
    sign_in(client, username="customer", password="customer-secret")
    old = {"username": "operator", "password": "operator-secret"}
    assert client.post("/api/v1/tokens", json=old).status_code == 401
    with transaction(engine) as connection:
        for table in ("users", "outbox"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 2
