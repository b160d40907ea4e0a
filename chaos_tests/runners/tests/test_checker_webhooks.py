"""P6 in the checker: missing notifications are found, made ones are valid, and files keep both."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos_tests.runners.checker import snapshot
from chaos_tests.runners.checker.synthetic import Made
from chaos_tests.runners.tests.violations import judged, pick
from holdfast.audit.webhooks import EndpointView


def subscribe(made: Made, **delivery: Any) -> None:
    """An endpoint with a delivery of one order's first event; `delivery` overrides its values."""
    view = pick(made, "confirmed")
    endpoint = {"id": "endpoint-1", "enabled": True, "last_attempt_at": None}
    made.snapshot.endpoints["endpoint-1"] = EndpointView(
        endpoint,
        "2027-01-31T12:00:00.000000Z",
        {view.events[0].id: {"event_type": view.events[0].type, "status": "delivered", **delivery}},
    )


def is_not_notified(made: Made) -> None:
    subscribe(made)
    known = made.snapshot.endpoints["endpoint-1"]
    made.snapshot.endpoints["endpoint-1"] = replace(known, missing=pick(made, "confirmed").events[1:2])


def is_forgotten(made: Made) -> None:
    subscribe(made, status="pending", next_attempt_at="2027-01-31T11:00:00.000000Z")


@pytest.mark.parametrize("plant", [is_not_notified, is_forgotten])
def test_a_missing_notification_is_found(plant: Any, tmp_path: Path) -> None:
    def plant_through_a_file(made: Made) -> None:
        plant(made)
        snapshot.write(made.snapshot, tmp_path / "snapshot")
        made.snapshot = snapshot.load(tmp_path / "snapshot")

    verdict = judged(plant_through_a_file)
    assert {promise.promise for promise in verdict.promises if promise.verdict == "invalid"} == {"P6"}
    assert verdict.verdict == "invalid"
    assert [offender.id for offender in verdict.offenders] == ["endpoint-1"]


def test_made_deliveries_satisfy_p6() -> None:
    verdict = judged(subscribe)
    assert {each.verdict for each in verdict.promises if each.promise == "P6"} == {"valid"}
    assert verdict.verdict == "valid"
