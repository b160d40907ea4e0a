"""The service against its own OpenAPI document, as a customer and as an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.conformance import check_conformance
from common.tests.sample_service import bearer
from services.payments.tests.builders import CUSTOMER, new_order, place, reserve

if TYPE_CHECKING:
    from flask import Flask

    from services.payments.resources import Resources

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("role", ["customer", "operator"])
def test_generated_requests_conform_to_the_openapi_document(app: Flask, resources: Resources, role: str) -> None:
    order_id = new_order()
    place(resources, order_id)
    reserve(resources, order_id)
    # The schema does not contain the provider's refunds.
    in_words = ["POST /api/v1/payments/{payment_id}/refunds/record"]
    assert check_conformance(app, bearer(sub=CUSTOMER, role=role), rules_in_words=in_words) == 8
