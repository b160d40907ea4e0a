"""`holdfast chaos run` runs the selected experiments, and rejects a wrong selection before it starts anything."""

import json
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid
from click.testing import CliRunner, Result

from chaos_tests import command
from chaos_tests.runners import schedule
from chaos_tests.runners.options import Options
from chaos_tests.runners.schedule import Step

STEPS = [
    Step("worker-killed", "worker-orders", "rabbitmq-refused", "rabbitmq", 2.0, 1.0),
    Step("relay-paused", "relay-1"),
]


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Options, list[Step]]]:
    """The options and steps of the sessions that would have run."""
    found: list[tuple[Options, list[Step]]] = []

    class Session:
        def __init__(self, options: Options, *_: Any) -> None:
            self._options = options

        def run(self, steps: list[Step]) -> str:
            found.append((self._options, steps))
            return "valid"

    monkeypatch.setattr(command, "Session", Session)
    monkeypatch.setattr("chaos_tests.command.signal.signal", lambda *_: None)
    return found


def run(*words: object) -> Result:
    return CliRunner().invoke(command.chaos, ["run", *map(str, words)])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    schedule.write(STEPS, 77, tmp_path / "schedule.json")
    return tmp_path / "schedule.json"


def test_a_stored_schedule_sets_steps_and_seed(kept: Path, sessions: list[tuple[Options, list[Step]]]) -> None:
    assert run("--schedule", kept).exit_code == 0
    assert run("--schedule", kept, "--seed", 5).exit_code == 0
    assert [(options.seed, steps) for options, steps in sessions] == [(77, STEPS), (5, STEPS)]


@pytest.mark.parametrize(
    "text", ["", "{}", '{"seed": 1, "steps": [{}]}', '{"seed": 1, "steps": [{"experiment": "of-another-time"}]}']
)
def test_an_invalid_schedule_is_rejected(text: str, kept: Path, sessions: list[tuple[Options, list[Step]]]) -> None:
    kept.write_text(text)
    ended = run("--schedule", kept)
    assert ended.exit_code == 2
    assert "is not a schedule" in ended.output
    assert not sessions


def test_an_unsupported_target_is_rejected(kept: Path, sessions: list[tuple[Options, list[Step]]]) -> None:
    schedule.write([Step("worker-killed", "mongodb")], 1, kept)
    assert "targets worker-orders" in " ".join(run("--schedule", kept).output.split())
    assert not sessions


@pytest.mark.parametrize("words", [("--all",), ("--home", ".", "--quick"), ("--driver", "compose", "--quick")])
def test_shrinking_requires_one_run_on_its_own_stack(
    words: tuple[str, ...], sessions: list[tuple[Options, list[Step]]]
) -> None:
    ended = run(*words, "--shrink")
    assert ended.exit_code == 2
    assert "--shrink goes with one run" in " ".join(ended.output.split())
    assert not sessions
    assert run("--quick", "--shrink").exit_code == 0


def test_the_compose_driver_requires_its_environment_variables(
    monkeypatch: pytest.MonkeyPatch, sessions: list[tuple[Options, list[Step]]]
) -> None:
    words = ("worker-scaled", "--driver", "compose")
    monkeypatch.setenv("HOLDFAST_PASSWORD", "secret")
    monkeypatch.delenv("HOLDFAST_RABBITMQ_MANAGEMENT", raising=False)
    ended = run(*words)
    assert ended.exit_code == 2
    assert "needs HOLDFAST_RABBITMQ_MANAGEMENT in the environment" in " ".join(ended.output.split())
    assert not sessions
    monkeypatch.setenv("HOLDFAST_RABBITMQ_MANAGEMENT", "http://monitor:secret@127.0.0.1:8012")
    assert run(*words).exit_code == 0
    assert len(sessions) == 1


def test_heal_without_a_home_is_exit_code_3(tmp_path: Path) -> None:
    ended = CliRunner().invoke(command.chaos, ["heal", "--home", str(tmp_path / "nowhere")])
    assert ended.exit_code == 3
    assert "No stack runs in" in ended.output
    assert not (tmp_path / "nowhere").exists()


def test_an_experiment_is_shown_in_chaos_toolkits_format() -> None:
    shown = CliRunner().invoke(command.chaos, ["show", "worker-killed", "--target-service", "payments"])
    assert shown.exit_code == 0
    document = json.loads(shown.output)
    ensure_experiment_is_valid(document)
    assert document["configuration"]["target"]["default"] == "worker-payments"


@pytest.mark.parametrize("words", [["no-such"], ["worker-killed", "--target-service", "rabbitmq"]])
def test_an_unknown_experiment_or_target_is_named(words: list[str]) -> None:
    shown = CliRunner().invoke(command.chaos, ["show", *words])
    assert shown.exit_code == 2
    assert words[-1] in shown.output
