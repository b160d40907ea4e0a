"""A run: the workload places orders while faults are injected one after the other; then the run is checked.

All files are in one directory: schedule.json, history.jsonl, a journal for each experiment, outcomes.json, and the
results of checker, audit and report. The checker is a separate process and reads only the files and the system.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chaos_tests.actions.workloads import end_workload
from chaos_tests.runners import schedule
from chaos_tests.runners.drivers.driver import driver_of
from chaos_tests.runners.execution import Outcome, execute, fault_of
from chaos_tests.runners.experiments import bound, pair
from chaos_tests.runners.history import History
from chaos_tests.runners.requirements import missing
from chaos_tests.runners.resources import sampled
from chaos_tests.runners.subscriber import subscriber
from chaos_tests.runners.workload.process import Workload
from infrastructure.local import proctable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from chaos_tests.runners.experiments import Experiment
    from chaos_tests.runners.schedule import Step

LEAD_SECONDS, TAIL_SECONDS = 6.0, 8.0
MOST_SECONDS_OF_A_STEP = 900.0
# Time-outs: 100,000 orders have a million events.
JUDGING_SECONDS = AUDIT_SECONDS = 3_600.0
AUDIT_TRIES, AUDITED = 3, {0: True, 1: False}
HOLDFAST = (sys.executable, "-c", "from holdfast.cli import main; main()")
_ACCEPTED = re.compile(rb'"type":"ok","f":"place","value":\{"id":"([^"]+)"')


class Interrupted(Exception):
    """The run was interrupted: faults are removed, and there is no verdict."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The system and the load of a run. `address` are the options that name the system."""

    variables: dict[str, Any]
    address: list[str]
    clients: int = 8
    rate: float | None = 10.0
    recovery_seconds: float = 30.0
    rabbitmq_nodes: int = 1

    @property
    def driver(self) -> str:
        return str(self.variables["driver"])


@dataclass
class Result:
    """The result of a run. `verdict` is the checker's; a run with a failed experiment is not valid."""

    directory: Path
    outcomes: list[Outcome]
    verdict: dict[str, Any] = field(default_factory=dict)
    audit: bool | None = None

    @property
    def state(self) -> str:
        if self.verdict.get("verdict") == "invalid" or self.audit is False:
            return "invalid"
        carried_out = [each for each in self.outcomes if not each.not_run]
        if not carried_out:
            return "not run"
        if any(each.complaints for each in carried_out):
            return "failed"
        if self.audit is None:
            return "unknown"
        return str(self.verdict.get("verdict", "unknown"))


class Campaign:
    """One workload with one history, and the steps of one schedule."""

    def __init__(
        self, run_config: RunConfig, directory: Path, known: dict[str, Experiment], report: Callable[[str], None]
    ) -> None:
        self._run_config, self._directory, self._known, self._report = run_config, directory, known, report

    def run(self, steps: list[Step], seed: int, orders: int = 0) -> Result:
        """Execute the steps, continue until that many orders were accepted, and check. Raises `Interrupted`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        schedule.write(steps, seed, self._directory / "schedule.json")
        outcomes = [self._not_run(step) for step in steps if self._lacks(step)]
        possible = [step for step in steps if not self._lacks(step)]
        result = Result(self._directory, outcomes)
        if possible:
            with subscriber(self._run_config):
                outcomes += self._under_load(possible, seed, orders)
                result.verdict = self._judge(orders)
                result.audit = self._audit()
        self._write(result)
        return result

    def _under_load(self, steps: list[Step], seed: int, orders: int) -> list[Outcome]:
        with self._workload(seed, len(steps), orders) as workload:
            entry = self._note(workload)
            with self._resources():
                outcomes = self._execute_all(steps)
                self._place_remaining(orders)
            if not workload.is_running:
                raise RuntimeError("the workload ended before its time: see history.log")
        if entry:
            end_workload(**entry, configuration=self._run_config.variables)
        return outcomes

    def _workload(self, seed: int, steps: int, orders: int) -> Workload:
        seconds = steps * MOST_SECONDS_OF_A_STEP + orders
        arguments = [*self._run_config.address, "--seed", str(seed), "--clients", str(self._run_config.clients)]
        arguments += ["--rate", str(self._run_config.rate)] if self._run_config.rate else []
        return Workload(self._directory / "history.jsonl", [*arguments, "--seconds", str(seconds)])

    def _resources(self) -> AbstractContextManager[None]:
        if self._run_config.driver != "local":
            return nullcontext()
        return sampled(self._run_config.variables, self._directory / "history.jsonl")

    def _note(self, workload: Workload) -> dict[str, int] | None:
        """Record how to stop the workload, in case this process dies."""
        found = proctable.lookup(workload.pid) if workload.pid else None
        if found is None:
            return None
        entry = {"pid": found.pid, "start_ticks": found.start_ticks}
        driver_of(self._run_config.variables).journal.add(end_workload, entry, of_the_run=True)
        return entry

    def _execute_all(self, steps: list[Step]) -> list[Outcome]:
        time.sleep(LEAD_SECONDS)
        history = History(self._directory / "history.jsonl")
        outcomes: list[Outcome] = []
        try:
            for number, step in enumerate(steps, 1):
                outcomes.append(self._execute(step, number, len(steps), history))
        finally:
            history.close()
        return outcomes

    def _execute(self, step: Step, number: int, total: int, history: History) -> Outcome:
        experiment = self._bound(step)
        self._report(f"{number}/{total} {_name(experiment)}: {experiment.title}")
        outcome = execute(experiment, self._run_config.variables)
        (self._directory / "journals").mkdir(exist_ok=True)
        path = self._directory / "journals" / f"{number:03}-{experiment.name}.json"
        path.write_text(json.dumps(outcome.journal, indent=1, default=str) + "\n")
        if fault := fault_of(experiment, outcome):
            history.fault(fault)
        if outcome.was_interrupted:
            raise Interrupted(experiment.name)
        seconds = outcome.ended - outcome.began
        for complaint in outcome.complaints:
            self._report(f"[red]✗[/] {_name(experiment)}: {complaint}")
        if not outcome.complaints:
            mark = "[green]✓[/]" if outcome.passed else "[yellow]?[/] it did not take effect:"
            self._report(f"{mark} {_name(experiment)} ({seconds:.0f} s) [dim]{outcome.evidence[:160]}[/]")
        time.sleep(step.gap_seconds)
        return outcome

    def _place_remaining(self, orders: int) -> None:
        """Let the workload place the missing orders, and a few after the last fault."""
        time.sleep(TAIL_SECONDS)
        counter = _Accepted(self._directory / "history.jsonl")
        deadline = time.monotonic() + orders
        while (count := counter.count()) < orders and time.monotonic() < deadline:
            self._report(f"{count} of {orders} orders accepted")
            time.sleep(5)

    def _judge(self, orders: int) -> dict[str, Any]:
        self._report("waiting until the system is idle, and checking")
        words = ["-m", "chaos_tests.runners.checker", "judge", *self._run_config.address, "--run", str(self._directory)]
        words += ["--recovery", str(self._run_config.recovery_seconds)]
        words += ["--minimum-orders", str(orders)] if orders else []
        output = self._directory / "checker.txt"
        with output.open("w") as file:
            subprocess.run([sys.executable, *words], stdout=file, stderr=file, check=False, timeout=JUDGING_SECONDS)
        try:
            verdict: dict[str, Any] = json.loads((self._directory / "verdict.json").read_text())
        except (OSError, ValueError):
            return {"verdict": "unknown", "why": output.read_text()[-500:]}
        return verdict

    def _audit(self) -> bool | None:
        """The result of `holdfast audit`: kept, broken, or (None) unknown. Retried if it could not read."""
        words = [*HOLDFAST, "audit", *self._run_config.address, "--json"]
        for _ in range(AUDIT_TRIES):
            with (self._directory / "audit.json").open("w") as file:
                done = subprocess.run(words, stdout=file, check=False, timeout=AUDIT_SECONDS, stderr=subprocess.DEVNULL)
            if done.returncode in AUDITED:
                return AUDITED[done.returncode]
        return None

    def _write(self, result: Result) -> None:
        document = {
            "state": result.state,
            "audit": result.audit,
            "outcomes": [outcome.document() for outcome in result.outcomes],
        }
        (self._directory / "outcomes.json").write_text(json.dumps(document, indent=1) + "\n")

    def _bound(self, step: Step) -> Experiment:
        one = bound(self._known[step.experiment], step.target, step.hold_seconds)
        if not step.also:
            return one
        return pair(one, bound(self._known[step.also], step.also_target, step.hold_seconds))

    def _lacks(self, step: Step) -> list[str]:
        return missing(self._bound(step).requires, self._run_config.driver, self._run_config.rabbitmq_nodes)

    def _not_run(self, step: Step) -> Outcome:
        needs = ", ".join(self._lacks(step))
        self._report(f"[yellow]-[/] {step.experiment}: not run: needs {needs}")
        return Outcome(step.experiment, step.target, not_run=f"needs {needs}")


class _Accepted:
    """The number of accepted orders in a growing history."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0
        self._ids: set[bytes] = set()

    def count(self) -> int:
        with self._path.open("rb") as file:
            file.seek(self._read)
            lines = file.read().rpartition(b"\n")[0]
        self._read += len(lines) + 1 if lines else 0
        self._ids.update(_ACCEPTED.findall(lines))
        return len(self._ids)


def _name(experiment: Experiment) -> str:
    targets = f" ({' and '.join(experiment.targets)})" if experiment.targets else ""
    return f"[bold]{experiment.name}[/]{targets}"
