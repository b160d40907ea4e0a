from __future__ import annotations

import time

import pytest

from common.web.load_shedding import NEVER, OverloadedError, Shedding

LIMITS = {"rows": 10, "seconds": 5.0}


def test_above_any_limit_work_is_refused_until_a_measurement_says_otherwise() -> None:
    shedding = Shedding(LIMITS)
    shedding.check()
    shedding.observe({"rows": 10, "seconds": 5.0})
    shedding.check()
    for excess in ({"rows": 11, "seconds": 0}, {"rows": 0, "seconds": 5.1}):
        shedding.observe(excess)
        with pytest.raises(OverloadedError) as refusal:
            shedding.check()
        assert (refusal.value.status, refusal.value.code) == (503, "overloaded")
    shedding.observe({"rows": 0, "seconds": 0})
    shedding.check()


def test_one_caller_measures_and_the_next_one_after_a_while() -> None:
    shedding = Shedding(LIMITS, measure_seconds=1)
    assert [shedding.is_due() for _ in range(3)] == [True, False, False]
    time.sleep(1.05)
    assert shedding.is_due()


def test_without_limits_nothing_is_measured() -> None:
    assert not NEVER.is_due()
    NEVER.check()
