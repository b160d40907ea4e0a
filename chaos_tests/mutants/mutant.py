"""A mutant: its patches, the processes that load them, and the scenario that must detect it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chaos_tests.mutants.scenarios import Scenario


INJECTION = Path(__file__).parent / "injection"


@dataclass(frozen=True, slots=True)
class Patch:
    """`old` must occur exactly once in the source of `module`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One removed guarantee. `environment` has additional variables for its processes."""

    name: str
    without: str
    scenario: Scenario
    processes: tuple[str, ...]
    patches: tuple[Patch, ...]
    environment: tuple[tuple[str, str], ...] = ()


def patched_build(patches: Iterable[Patch], file: Path) -> dict[str, str]:
    """The variables of a process that applies these patches; they are written to `file`."""
    file.write_text(json.dumps([asdict(patch) for patch in patches]))
    return {"HOLDFAST_MUTANT": str(file), "HOLDFAST_TEST_BUILD": "1", "PYTHONPATH": str(INJECTION)}
