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


def test_generated_requests_meet_what_is_documented(client: FlaskClient) -> None:
    # A URL and event types have rules that no schema says; to JSON Schema 1.0 is an integer, which is refused.
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
