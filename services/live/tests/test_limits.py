"""Open streams are limited per process and per caller."""

from __future__ import annotations

import pytest

from services.live.limits import FullError, Limits, TooManyStreamsError


def test_a_caller_has_a_limit_and_closing_a_stream_frees_a_slot() -> None:
    limits = Limits(per_process=10, per_caller=2)
    for caller in ("a", "a", "b"):
        limits.enter(caller)
    with pytest.raises(TooManyStreamsError):
        limits.enter("a")
    limits.leave("a")
    limits.enter("a")


def test_a_process_has_a_limit_for_all_callers() -> None:
    limits = Limits(per_process=2, per_caller=2)
    limits.enter("a")
    limits.enter("b")
    with pytest.raises(FullError):
        limits.enter("c")
    limits.leave("a")
    limits.enter("c")
