"""The options of `holdfast chaos run`, and their consistency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from chaos_tests.runners.drivers import compose
from infrastructure.local.home import existing_home

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """As given on the command line."""

    names: tuple[str, ...] = ()
    everything: bool = False
    quick: bool = False
    is_random: bool = False
    schedule_file: Path | None = None
    shrink: bool = False
    together: bool = False
    faults: int = 20
    seed: int = 1
    orders: int = 0
    target: str = ""
    hold_seconds: float | None = None
    clients: int = 8
    rate: float = 10
    recovery: float = 30.0
    home: Path | None = None
    port_base: int = 8800
    rabbitmq_nodes: int | None = None
    driver: str = "local"
    project: str = "holdfast"
    output: Path | None = None
    table: Path | None = None
    keep: bool = False

    @property
    def is_one_run(self) -> bool:
        """Whether all steps share a workload and a history."""
        return self.quick or self.is_random or self.together or bool(self.schedule_file)

    @property
    def is_own_stack(self) -> bool:
        return self.driver == "local" and self.home is None

    @property
    def nodes(self) -> int:
        """The number of the broker's nodes."""
        if self.driver != "local":
            return 1
        known = existing_home(self.home) if self.home else None
        return known.rabbitmq_nodes if known else self.rabbitmq_nodes or 1


def require_one_selection(options: Options) -> None:
    """Raises `click.UsageError`."""
    chosen = [bool(options.names), options.everything, options.quick, options.is_random, bool(options.schedule_file)]
    if sum(chosen) != 1:
        raise click.UsageError("give names, or one of --all, --quick, --random, --schedule")
    if options.shrink and not (options.is_one_run and options.is_own_stack):
        # Permanent damage of one try would affect the next, so each starts with an empty stack.
        raise click.UsageError(
            "--shrink goes with one run (--schedule, --random, --quick, --together) on its own stack"
        )


def require_settings(options: Options) -> None:
    """Raises `click.UsageError`."""
    if options.driver == "compose" and (unset := compose.unset()):
        raise click.UsageError(f"--driver compose needs {' and '.join(unset)} in the environment")
