"""The service against its own OpenAPI document, as a customer and as an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.conformance import check_conformance
from common.tests.sample_service import bearer
from services.inventory.tests.calls import KETTLE, post

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("role", ["customer", "operator"])
def test_generated_requests_conform_to_the_openapi_document(client: FlaskClient, role: str) -> None:
    post(client, "", KETTLE)
    assert check_conformance(client.application, bearer(role=role)) == 5
