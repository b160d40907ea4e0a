"""The service against its own OpenAPI document, as a customer and as an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from common.tests.conformance import check_conformance
from common.tests.sample_service import bearer
from services.archive.tests.event_samples import CUSTOMER, file, placed

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from pymongo.database import Database

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("role", ["customer", "operator"])
def test_generated_requests_conform_to_the_openapi_document(
    make_app: Callable[..., Flask], archive: Database[dict[str, Any]], document_store: str, role: str
) -> None:
    file(archive, placed(new_id()))
    app = make_app(document_store)
    # The schema cannot express that a cursor must name an event.
    assert check_conformance(app, bearer(sub=CUSTOMER, role=role), rules_in_words=["GET /api/v1/events"]) == 2
