"""The service against its own OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.conformance import check_conformance
from services.payments.tests.calls import operator

if TYPE_CHECKING:
    from flask import Flask

    from services.payments.resources import Resources

pytestmark = pytest.mark.integration


def test_generated_requests_meet_what_is_documented(app: Flask, resources: Resources) -> None:
    # To JSON Schema 1.0 is an integer; for an amount of money it is refused.
    refunds = "POST /api/v1/payments/{payment_id}/refunds"
    assert check_conformance(app, operator(), rules_in_words=[refunds, f"{refunds}/record"]) == 7
