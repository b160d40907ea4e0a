"""Selects the experiments of a command line, with their targets. Inconsistent options end the command
(`UsageError`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chaos_tests.runners import schedule
from chaos_tests.runners.options import Options, require_one_selection
from chaos_tests.runners.requirements import missing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chaos_tests.runners.experiments import Experiment


def kept_schedule(path: Path | None, known: dict[str, Experiment]) -> tuple[int | None, list[schedule.Step]]:
    """Seed and steps of a stored schedule. Ends the command for a malformed one, or one with unknown experiments."""
    if path is None:
        return None, []
    try:
        seed, steps = schedule.read(path)
        for step in steps:
            known[step.experiment].target(step.target)
            if step.also:
                known[step.also].target(step.also_target)
    except (ValueError, KeyError, TypeError, LookupError) as error:
        message = f"{path} is not a schedule of known experiments: {error}"
        raise click.UsageError(message) from error
    return seed, steps


def chosen_steps(options: Options, known: dict[str, Experiment], kept: list[schedule.Step]) -> list[schedule.Step]:
    """The steps to execute. Ends the command for inconsistent options."""
    require_one_selection(options)
    if options.schedule_file:
        return kept
    if options.is_random:
        able = {
            name: each
            for name, each in known.items()
            if not each.destructive and not missing(each.requires, options.driver, options.nodes)
        }
        return schedule.draw(options.seed, options.faults, able)
    if options.quick:
        return schedule.of([name for name, each in known.items() if each.quick])
    if options.everything:
        return schedule.of([name for name, each in known.items() if _fits(each, options.target)], options.target)
    require_known(options.names, known)
    for name in options.names:
        chosen_target(known[name], options.target)
    return schedule.of(options.names, options.target)


def require_known(names: Iterable[str], known: dict[str, Experiment]) -> None:
    if unknown := set(names) - known.keys():
        message = f"there is no experiment {', '.join(sorted(unknown))}; `holdfast chaos list` shows what there is"
        raise click.UsageError(message)


def _fits(experiment: Experiment, target: str) -> bool:
    try:
        experiment.target(target)
    except LookupError:
        return False
    return True


def chosen_target(experiment: Experiment, target: str) -> str:
    try:
        return experiment.target(target)
    except LookupError as error:
        raise click.UsageError(str(error.args[0])) from error
