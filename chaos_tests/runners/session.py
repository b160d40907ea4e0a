"""One call of `holdfast chaos run`: a stack, one or several runs on it, and everything restored at the end."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos_tests.actions.steady import forget_customers, orders_go_through
from chaos_tests.runners import schedule, table
from chaos_tests.runners.campaign import Campaign, Result, RunConfig
from chaos_tests.runners.drivers.driver import driver_of, local
from chaos_tests.runners.execution import Outcome
from chaos_tests.runners.experiments import bound, only_process
from holdfast.commands.options import no_stack
from infrastructure.local.errors import StackError
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from chaos_tests.runners.experiments import Experiment
    from chaos_tests.runners.options import Options
    from chaos_tests.runners.schedule import Step

DIRECTORY = Path(".holdfast-chaos")
REPORT_SECONDS, READY_SECONDS = 1_200.0, 180.0
FAILED = ("invalid", "failed")


class Session:
    """Runs steps on its own stack, or on a running one."""

    def __init__(self, options: Options, known: dict[str, Experiment], console: Console) -> None:
        self._options, self._known, self._console = options, known, console
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self._process = ""  # if the proxies are only for one process or context
        self._directory = (options.output or DIRECTORY / "runs" / f"{stamp}-{options.seed}").absolute()

    def run(self, steps: list[Step]) -> str:
        """Returns the worst state. Raises `Interrupted`, `KeyboardInterrupt` and `StackError`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        _log_to(self._directory / "chaostoolkit.log")
        self._process = only_process(self._bound(steps))
        with self._run_config() as run_config:
            if not self._options.is_one_run:
                return self._each_alone(run_config, steps)
            result = self._one_run(run_config, steps, self._directory)
            if self._options.shrink and result.state in FAILED:
                self._shrink(run_config, steps)
            return result.state

    def _one_run(self, run_config: RunConfig, steps: list[Step], directory: Path, share: float = 1.0) -> Result:
        seed, hold = self._options.seed, self._options.hold_seconds
        held = steps if hold is None else [replace(step, hold_seconds=hold) for step in steps]
        orders = int(share * self._options.orders)
        directory.mkdir(parents=True, exist_ok=True)
        meta = {"command": shlex.join(["holdfast", *sys.argv[1:]]), "seed": seed, "faults": len(steps)}
        meta |= {"started_at": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        (directory / "meta.json").write_text(json.dumps(meta) + "\n")
        try:
            result = Campaign(run_config, directory, self._known, self._report).run(held, seed, orders)
        except (RuntimeError, subprocess.TimeoutExpired) as error:  # the workload did not start, or the check failed
            raise StackError(str(error)) from error
        report = f"; report: {make_report(directory)}" if result.verdict else ""
        self._report(f"[bold]{result.state}[/]: {_counts(result)}{report}")
        return result

    def _each_alone(self, run_config: RunConfig, steps: list[Step]) -> str:
        rows = []
        for number, step in enumerate(steps, 1):
            self._report(f"[dim]{number} of {len(steps)}[/]")
            directory = self._directory / f"{number:03}-{step.experiment}"
            try:
                result = self._one_run(run_config, [step], directory)
            except StackError as error:  # the others are still tried
                self._report(f"[red]✗[/] {error}")
                result = Result(directory, [Outcome(step.experiment, step.target, [str(error)])])
            rows.append(table.row(self._known[step.experiment], result, self._options.driver))
            self._save_results(rows)
            if number < len(steps) and (result.state in FAILED or self._known[step.experiment].destructive):
                self._begin_again(run_config)
        self._report(f"the table: {self._directory / 'results.md'}")
        return table.worst(rows)

    def _save_results(self, rows: list[table.Row]) -> None:
        """Called after each experiment, so that an interrupted run keeps its results."""
        table.write(rows, self._directory / "results.md")
        if page := self._options.table:
            table.write(table.merged(table.read(page), rows[-1:]), page, self._known)

    def _shrink(self, run_config: RunConfig, steps: list[Step]) -> None:
        tried, has_failed, file = 0, True, self._directory / "shrunk.json"

        def fails(part: list[Step]) -> bool:
            nonlocal tried, has_failed
            tried += 1
            if has_failed:
                self._begin_again(run_config)
            self._report(f"trying {len(part)} of {len(steps)} faults")
            directory, share = self._directory / f"shrink-{tried:02}", len(part) / len(steps)
            has_failed = self._one_run(run_config, part, directory, share).state in FAILED
            if has_failed:  # written at once, so that an interrupted search keeps the smallest one
                schedule.write(part, self._options.seed, file)
            return has_failed

        smaller = schedule.shrink(steps, fails)
        schedule.write(smaller, self._options.seed, file)
        self._report(f"enough to fail, {len(smaller)} of {len(steps)}: {file}")

    @contextmanager
    def _run_config(self) -> Iterator[RunConfig]:
        """The system of the run; all faults are removed when the block ends."""
        options = self._options
        home = (options.home or DIRECTORY / ("stack" if options.nodes == 1 else "cluster")).absolute()
        variables: dict[str, Any] = {"home": str(home), "driver": options.driver, "project": options.project}
        stack = None
        if options.driver == "local":
            stack = self._own_stack(home) if options.is_own_stack else None
            if options.home and not Stack(home).is_running:
                no_stack(home)
        try:
            with driver_of(variables).journal.held():
                yield from self._prepared(variables)
        finally:
            if stack is not None and not options.keep:
                self._report("taking the stack down")
                stack.down()

    def _prepared(self, variables: dict[str, Any]) -> Iterator[RunConfig]:
        self._restore(variables)  # left over from an earlier run
        options = self._options
        if options.driver == "local":
            self._report(f"a proxy between {self._process or 'each process'} and each server")
            local(variables).proxy_routes.build(self._process)
        try:
            self._wait_for_orders(variables, "before anything was broken")
            address, rate = _address(variables), options.rate or None
            yield RunConfig(variables, address, options.clients, rate, options.recovery, options.nodes)
        finally:
            self._restore(variables)
            if options.driver == "local" and not options.is_own_stack:
                self._report("taking the proxies away")
                local(variables).proxy_routes.remove()
                self._wait_for_orders(variables, "without the proxies")

    def _bound(self, steps: list[Step]) -> Iterator[Experiment]:
        for step in steps:
            yield bound(self._known[step.experiment], step.target)
            if step.also:
                yield bound(self._known[step.also], step.also_target)

    def _wait_for_orders(self, variables: dict[str, Any], when: str) -> None:
        self._report("waiting until orders go through")
        if not orders_go_through(variables, READY_SECONDS):
            raise StackError(f"no order went through within {READY_SECONDS:.0f} s, {when}")

    def _own_stack(self, home: Path) -> Stack:
        self._report(f"starting a stack in {home}")
        stack = Stack(home, self._options.port_base, self._options.nodes)
        try:
            stack.up()
        except BaseException:
            stack.down()
            raise
        return stack

    def _begin_again(self, run_config: RunConfig) -> None:
        """Start a new stack, if it is the session's own, after an experiment that ruined it."""
        if not self._options.is_own_stack:
            return
        self._report("starting again with an empty stack")
        stack = local(run_config.variables).stack
        shutil.copytree(stack.home.path / "log", self._directory / f"log-{time.strftime('%H%M%S')}", dirs_exist_ok=True)
        self._restore(run_config.variables)
        stack.down(delete_data=True)
        Stack(stack.home.path, self._options.port_base, self._options.nodes).up()
        forget_customers()
        local(run_config.variables).proxy_routes.build(self._process)
        self._wait_for_orders(run_config.variables, "on the new stack")

    def _restore(self, variables: dict[str, Any]) -> None:
        restored, failed = driver_of(variables).journal.restore_all(variables)
        for text in restored:
            self._report(f"restored: {text}")
        for text in failed:
            self._report(f"[red]not restored: {text}[/]; `holdfast chaos heal` tries again")

    def _report(self, text: str) -> None:
        self._console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {text}")


def make_report(directory: Path) -> str:
    """Create report.html and report.json in a run's directory; returns the path, or the error."""
    words = [sys.executable, "-m", "chaos_tests.runners.report", "--run", str(directory)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=REPORT_SECONDS)
    return str(directory / "report.html") if done.returncode == 0 else f"none ({done.stderr.strip()[-300:]})"


def _address(variables: dict[str, Any]) -> list[str]:
    """The options by which other commands find the system."""
    if variables["driver"] == "local":
        return ["--home", variables["home"]]
    target = driver_of(variables).target()
    # Passwords are passed in the environment, because command lines are readable by other users.
    return ["--url", target.url, *(["--ledger", target.ledger_url] if target.ledger_url else [])]


def _counts(result: Result) -> str:
    passed = sum(outcome.passed for outcome in result.outcomes)
    not_run = sum(bool(outcome.not_run) for outcome in result.outcomes)
    accepted = result.verdict.get("counts", {}).get("accepted", 0)
    skipped = f", {not_run} not run" if not_run else ""
    return f"{passed} of {len(result.outcomes) - not_run} experiments passed{skipped}, {accepted:,} orders accepted"


def _log_to(path: Path) -> None:
    """Redirect Chaos Toolkit's log to a file, so that it does not disturb the progress display."""
    for name in ("chaostoolkit", "chaostoolkit-lib", "logzero"):
        logger = logging.getLogger(name)
        handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
