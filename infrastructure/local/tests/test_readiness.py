"""Waits with a time-out."""

from infrastructure.local.readiness import holds_within


def test_it_polls_until_the_condition_holds() -> None:
    answers = iter([False, False, True])
    assert holds_within(lambda: next(answers), 60.0, 0.001)
    assert list(answers) == []


def test_a_condition_that_never_holds_is_false_after_the_time_out() -> None:
    assert not holds_within(lambda: False, 0.01, 0.001)
