"""Shrinking a failed schedule: damage of one try does not affect the next."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from chaos_tests.runners import schedule
from chaos_tests.runners.campaign import Result, RunConfig
from chaos_tests.runners.options import Options
from chaos_tests.runners.schedule import Step
from chaos_tests.runners.session import Session

RUN_CONFIG = RunConfig({"driver": "local", "home": "/nowhere"}, [])
STEPS = [Step(name) for name in ("one", "two", "culprit", "three", "four", "five")]


class Shrinking(Session):
    """A session whose stack is damaged by one fault until it is restarted."""

    def __init__(self, directory: Path) -> None:
        options = Options(is_random=True, seed=7, orders=600, shrink=True, output=directory)
        super().__init__(options, {}, Console(file=StringIO()))
        self.is_ruined, self.tries = True, list[tuple[int, float]]()
        directory.mkdir(exist_ok=True)

    def _one_run(self, run_config: RunConfig, steps: list[Step], directory: Path, share: float = 1.0) -> Result:  # noqa: ARG002 - the signature of the base class
        self.tries.append((len(steps), share))
        self.is_ruined = self.is_ruined or Step("culprit") in steps
        return Result(directory, [], {"verdict": "valid"}, audit=not self.is_ruined)

    def _begin_again(self, run_config: RunConfig) -> None:  # noqa: ARG002 - the signature of the base class
        self.is_ruined = False


def test_shrinking_finds_the_cause_on_empty_stacks(tmp_path: Path) -> None:
    session = Shrinking(tmp_path)
    session._shrink(RUN_CONFIG, STEPS)
    assert schedule.read(tmp_path / "shrunk.json") == (7, [Step("culprit")])
    assert all(share == count / len(STEPS) for count, share in session.tries)


def test_a_minimal_schedule_is_kept(tmp_path: Path) -> None:
    session = Shrinking(tmp_path)
    session._shrink(RUN_CONFIG, [Step("culprit")])
    assert schedule.read(tmp_path / "shrunk.json") == (7, [Step("culprit")])
    assert not session.tries
