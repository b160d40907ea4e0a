"""A schedule is reproducible by its seed, covers every kind of fault, can be stored, and shrinks to its cause."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from chaos_tests.runners import schedule
from chaos_tests.runners.experiments import load_all
from chaos_tests.runners.schedule import Step

KNOWN = load_all()


def test_the_same_seed_draws_the_same_faults() -> None:
    assert schedule.draw(7, 200, KNOWN) == schedule.draw(7, 200, KNOWN)
    assert schedule.draw(7, 200, KNOWN) != schedule.draw(8, 200, KNOWN)


def test_every_kind_is_drawn_and_some_in_pairs() -> None:
    steps = schedule.draw(7, 200, KNOWN)
    assert len(steps) == 200
    assert {step.experiment for step in steps} == set(KNOWN)
    pairs = [step for step in steps if step.also]
    assert 5 < len(pairs) < 60
    assert not any(KNOWN[name].exclusive for step in pairs for name in (step.experiment, step.also))
    assert all(step.target and step.also_target for step in pairs)
    assert all(step.target in KNOWN[step.experiment].targets for step in steps if step.target)


def test_a_stored_schedule_is_read_again(tmp_path: Path) -> None:
    steps = schedule.draw(7, 20, KNOWN)
    schedule.write(steps, 7, tmp_path / "schedule.json")
    assert schedule.read(tmp_path / "schedule.json") == (7, steps)


@given(st.sets(st.integers(0, 39), min_size=1, max_size=3))
def test_a_schedule_shrinks_to_its_cause(culprits: set[int]) -> None:
    steps = [Step(str(number)) for number in range(40)]

    def fails(part: list[Step]) -> bool:
        return culprits <= {int(step.experiment) for step in part}

    assert {int(step.experiment) for step in schedule.shrink(steps, fails)} == culprits
