"""A breaker: opens on outages alone, lets one probe through, and never serializes the calls."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.errors import NotFound, Unavailable
from common.resilience.circuit_breaker import Breaker, CircuitOpenError


def fail(breaker: Breaker, error: Exception) -> None:
    with pytest.raises(type(error)), breaker.guard():
        raise error


def broken(max_failures: int = 3, reset_seconds: float = 60) -> Breaker:
    made = Breaker("b", max_failures=max_failures, reset_seconds=reset_seconds)
    for _ in range(max_failures):
        fail(made, Unavailable("away"))
    return made


def test_it_opens_after_so_many_outages_in_a_row() -> None:
    breaker = Breaker("b", max_failures=3, reset_seconds=60)
    for _ in range(2):
        fail(breaker, Unavailable("away"))
    with breaker.guard():
        pass
    for _ in range(3):
        assert not breaker.is_open
        fail(breaker, Unavailable("away"))
    with pytest.raises(CircuitOpenError), breaker.guard():
        pytest.fail("the call was made")


def test_a_refusal_is_an_answer() -> None:
    breaker = Breaker("b", max_failures=1)
    for _ in range(5):
        fail(breaker, NotFound("no such thing"))
    assert not breaker.is_open


def test_one_probe_at_a_time_goes_through_and_closes_it() -> None:
    breaker = broken(reset_seconds=0)
    with breaker.guard(), pytest.raises(CircuitOpenError), breaker.guard():
        pytest.fail("a second probe was made")
    assert not breaker.is_open


def test_a_failed_probe_opens_it_again() -> None:
    breaker = broken(reset_seconds=60)
    breaker._opened_at -= 60
    fail(breaker, Unavailable("still away"))
    with pytest.raises(CircuitOpenError), breaker.guard():
        pytest.fail("the call was made")


def test_a_probe_that_is_refused_closes_it() -> None:
    breaker = broken(reset_seconds=0)
    fail(breaker, NotFound("it answers"))
    assert not breaker.is_open


def test_a_probe_that_was_interrupted_leaves_room_for_the_next() -> None:
    breaker = broken(reset_seconds=0)
    with pytest.raises(KeyboardInterrupt), breaker.guard():
        raise KeyboardInterrupt
    with breaker.guard():
        pass
    assert not breaker.is_open


def test_late_results_of_calls_from_before_do_not_decide() -> None:
    breaker = Breaker("b", max_failures=1, reset_seconds=60)
    with breaker.guard():
        fail(breaker, Unavailable("away"))
    assert breaker.is_open


def test_calls_run_side_by_side() -> None:
    breaker = Breaker("b", max_failures=3)
    together = threading.Barrier(8, timeout=60)

    def call(_: int) -> None:
        with breaker.guard():
            together.wait()  # passes only if all eight are inside at once

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(call, range(8)))
