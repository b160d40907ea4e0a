"""The metrics of refunds that wait for an operator, which the alert and the system view read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from services.payments.metrics import show_open_cases
from services.payments.tests.calls import answer
from services.payments.tests.test_open_cases import BY_TRANSFER, open_case, owed, post

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration


def shown(resources: Resources) -> tuple[float | None, float | None]:
    show_open_cases(resources.engine)
    names = ("holdfast_standing_cases", "holdfast_standing_case_oldest_seconds")
    count, seconds = (REGISTRY.get_sample_value(name) for name in names)
    return count, seconds


def test_a_case_is_counted_until_an_operator_has_decided(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    owed(resources, sandbox)  # still retried automatically
    assert shown(resources) == (0, 0)
    payment = open_case(resources, sandbox)
    count, seconds = shown(resources)
    assert count == 1
    assert seconds is not None
    assert seconds > 0
    answer(post(client, payment, "record", BY_TRANSFER), 201)
    assert shown(resources) == (0, 0)


def test_the_service_exposes_open_cases(client: FlaskClient) -> None:
    assert b"holdfast_standing_cases " in client.get("/metrics").data
