"""Collecting retries while the system is too busy, up to a time-out; a rejection is not retried."""

from typing import Any

import pytest
import requests

from chaos_tests.runners.checker import collect
from chaos_tests.runners.checker.collect import Collector
from chaos_tests.runners.checker.snapshot import Snapshot
from holdfast.client import ApiError
from holdfast.target import Target

TARGET = Target("http://127.0.0.1:9", "p", "http://127.0.0.1:9", "http://127.0.0.1:9", "k")
RUN = {"wall": 0.0, "customers": {}, "products": []}
LATE, BUSY = requests.ReadTimeout("late"), ApiError(503, {"code": "unavailable"}, "1")
FORBIDDEN = ApiError(403, {"code": "forbidden"}, "")


class Reading(Collector):
    """A collector with configured responses of the system."""

    def __init__(self, *troubles: Exception) -> None:
        super().__init__(TARGET, RUN, lambda _: None)
        self.troubles = list(troubles)

    def collect(self, **_: Any) -> Snapshot:
        if self.troubles:
            raise self.troubles.pop(0)
        return Snapshot(drained=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PAUSE_SECONDS", 0.01)


def test_a_busy_system_is_retried() -> None:
    assert Reading(LATE, BUSY, LATE).collect_patiently().drained


def test_a_rejection_is_not_retried() -> None:
    reading = Reading(FORBIDDEN, LATE)
    with pytest.raises(ApiError):
        reading.collect_patiently()
    assert reading.troubles == [LATE]


def test_retries_end_after_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(requests.ReadTimeout):
        Reading(*[LATE] * 1_000).collect_patiently()
