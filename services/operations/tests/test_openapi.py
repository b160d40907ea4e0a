"""The service against its own OpenAPI document, as a customer and as an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.tests.conformance import check_conformance
from common.tests.sample_service import bearer
from services.operations.tests.dead_letters import file

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from pymongo.database import Database

pytestmark = pytest.mark.integration
LETTERS = "/api/v1/dead-letters"


@pytest.mark.parametrize("role", ["customer", "operator"])
def test_generated_requests_meet_what_is_documented(
    make_app: Callable[..., Flask], store: Database[dict[str, Any]], document_store: str, role: str
) -> None:
    file(store)
    app = make_app(document_store)
    # A cursor, and an event, must be ones; an audit judges each promise once.
    in_words = [f"GET {LETTERS}", f"POST {LETTERS}/{{letter_id}}/replay", "POST /api/v1/system/audits"]
    assert check_conformance(app, bearer(sub="ann", role=role), rules_in_words=in_words) == 8
