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
def test_generated_requests_conform_to_the_openapi_document(
    make_app: Callable[..., Flask], store: Database[dict[str, Any]], document_store: str, role: str
) -> None:
    file(store)
    app = make_app(document_store)
    # The schema cannot express valid cursors and events, or that an audit reports each promise once.
    in_words = [f"GET {LETTERS}", f"POST {LETTERS}/{{letter_id}}/replay", "POST /api/v1/system/audits"]
    assert check_conformance(app, bearer(sub="ann", role=role), rules_in_words=in_words) == 8
