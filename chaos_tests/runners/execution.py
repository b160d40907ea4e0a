"""Executes one experiment with Chaos Toolkit's library, in this process."""

from __future__ import annotations

import signal
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.run import RunEventHandler

from chaos_tests.runners import journal as journals
from chaos_tests.runners.history import Fault

if TYPE_CHECKING:
    from chaos_tests.runners.experiments import Experiment

ALWAYS_ROLL_BACK = {"runtime": {"rollbacks": {"strategy": "always"}}}


@dataclass
class Outcome:
    """The outcome of an experiment. `complaints` is empty for a pass; `not_run` names missing requirements."""

    name: str
    target: str
    complaints: list[str] = field(default_factory=list)
    not_run: str = ""
    began: float = 0.0
    ended: float = 0.0
    took_effect: bool | None = None
    evidence: str = ""
    was_interrupted: bool = False
    journal: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def passed(self) -> bool:
        return not self.not_run and not self.complaints and self.took_effect is not False

    def document(self) -> dict[str, Any]:
        """As JSON; the journal stays in its own file."""
        return {name: value for name, value in asdict(self).items() if name != "journal"} | {"passed": self.passed}


def execute(experiment: Experiment, variables: dict[str, Any]) -> Outcome:
    """Run it with `variables` (home, driver). Errors are in the outcome."""
    ensure_experiment_is_valid(experiment.document)
    window = _Window()
    journal = run_experiment(
        experiment.document,
        settings=ALWAYS_ROLL_BACK,
        experiment_vars=(dict(variables), {}),
        event_handlers=[window],
    )
    took_effect, evidence = journals.evidence(journal, is_pair=experiment.is_pair)
    return Outcome(
        experiment.name,
        " and ".join(experiment.targets),
        journals.complaints(journal),
        began=window.began,
        ended=window.ended,
        took_effect=took_effect,
        evidence=evidence,
        was_interrupted=journals.was_interrupted(journal),
        journal=journal,
    )


def fault_of(experiment: Experiment, outcome: Outcome) -> Fault | None:
    """The record for the history; None for a fault that never began."""
    if not outcome.began:
        return None
    return Fault(
        experiment.name,
        outcome.began,
        outcome.ended or time.monotonic(),
        took_effect=outcome.took_effect,
        evidence=outcome.evidence[:1000],
        target=outcome.target,
        accepts=experiment.accepts,
        outage=experiment.outage,
        dead_letters=experiment.dead_letters,
    )


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


class _Window(RunEventHandler):  # type: ignore[misc]  # Chaos Toolkit has no types
    """The start of the method's first activity, and the end of its last one: the bounds of the fault."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self._is_open = False

    def started(self, experiment: dict[str, Any], journal: dict[str, Any]) -> None:  # noqa: ARG002 - its signature
        # Chaos Toolkit's own signal handler raises an exception that a Python activity turns into a failure; then it
        # continues.
        signal.signal(signal.SIGTERM, _interrupt)

    def start_method(self, experiment: dict[str, Any]) -> None:  # noqa: ARG002 - its signature
        self._is_open = True

    def method_completed(self, experiment: dict[str, Any], state: Any = None) -> None:  # noqa: ARG002 - its signature
        self._is_open = False

    def start_activity(self, activity: dict[str, Any]) -> None:  # noqa: ARG002 - its signature
        if self._is_open:
            self.began = self.began or time.monotonic()

    def activity_completed(self, activity: dict[str, Any], run: dict[str, Any]) -> None:  # noqa: ARG002 - its signature
        if self._is_open:
            self.ended = time.monotonic()
