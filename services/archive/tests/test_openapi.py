"""The service against its own OpenAPI document, as a customer and as an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from common.tests.conformance import check_conformance
from common.tests.sample_service import bearer
from services.archive.tests.happenings import CUSTOMER, file, placed

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from pymongo.database import Database

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("role", ["customer", "operator"])
def test_generated_requests_meet_what_is_documented(
    make_app: Callable[..., Flask], archive: Database[dict[str, Any]], document_store: str, role: str
) -> None:
    file(archive, placed(new_id()))
    app = make_app(document_store)
    # That a cursor must name an event is said in words.
    assert check_conformance(app, bearer(sub=CUSTOMER, role=role), rules_in_words=["GET /api/v1/events"]) == 2
