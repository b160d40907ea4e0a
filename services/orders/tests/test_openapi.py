"""The service against its own OpenAPI document, as a customer and as an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.conformance import check_conformance
from common.tests.sample_service import bearer
from services.orders.tests.builders import place

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("role", ["customer", "operator"])
def test_generated_requests_conform_to_the_openapi_document(client: FlaskClient, engine: Engine, role: str) -> None:
    place(engine)
    # The schema does not contain the existing SKUs.
    in_words = ["POST /api/v1/orders"]
    assert check_conformance(client.application, bearer(sub="ann", role=role), rules_in_words=in_words) == 5
