"""The service against its own OpenAPI document, as a customer and as an operator."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.storage.postgresql import autocommit
from common.tests.conformance import check_conformance
from services.users.main import create_app
from services.users.tests.accounts import register, settings, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration
# No schema expresses which fields a sign-in combines, and which passwords are weak.
IN_WORDS = ["POST /api/v1/tokens", "POST /api/v1/users"]


@pytest.mark.parametrize("role", ["customer", "operator"])
def test_generated_requests_conform_to_the_openapi_document(migrated_database: Callable[[str], str], role: str) -> None:
    app = create_app(
        replace(
            settings(migrated_database("users")),
            rate_limit_routes="POST /api/v1/users=1000000/hour",
            rate_limit_anonymous="",
        )
    )
    api_key = register(app.test_client())["api_key"]
    with autocommit(app.extensions["context"].engine) as connection:
        connection.execute(text("UPDATE users SET role = :role"), {"role": role})
    headers = sign_in(app.test_client(), api_key=api_key)
    assert check_conformance(app, headers, rules_in_words=IN_WORDS, empty_bodies=["POST /api/v1/api-keys"]) == 9
    app.extensions["context"].engine.dispose()
