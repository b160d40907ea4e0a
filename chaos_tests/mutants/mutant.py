"""A mutant: its patches, the processes that load them, and the scenario that must detect it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos_tests.mutants.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Patch:
    """`old` must stand exactly once in the source of `module`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One guarantee less. `environment` is what its processes get besides."""

    name: str
    without: str
    scenario: Scenario
    processes: tuple[str, ...]
    patches: tuple[Patch, ...]
    environment: tuple[tuple[str, str], ...] = ()
