"""The service against its own OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.conformance import check_conformance
from common.tests.sample_service import bearer
from services.notifications.tests.builders import OPERATOR

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.integration


def test_generated_requests_conform_to_the_openapi_document(client: FlaskClient) -> None:
    # Schemas cannot express the rules of URLs and event types. JSON Schema accepts 1.0 as an integer; services do not.
    place = "/api/v1/webhook-endpoints"
    rules_in_words = [
        f"POST {place}",
        f"PATCH {place}/{{endpoint_id}}",
        f"POST {place}/{{endpoint_id}}/rotate-secret",
        f"POST {place}/{{endpoint_id}}/resend",
        f"GET {place}",
        f"GET {place}/{{endpoint_id}}/deliveries",
        "GET /api/v1/deliveries",
    ]
    headers = bearer(sub=OPERATOR.id, role="operator")
    assert check_conformance(client.application, headers, rules_in_words=rules_in_words) == 12
