"""The last results of the other suites: crash points, mutants, the models, read from their pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_STATES = re.compile(r"^\| \w+ \| (?:safety|liveness) \| [^|]+ \| ([0-9,]+) \|", re.MULTILINE)
_MUTANTS_OF_MODELS = re.compile(r"^(\d+ of \d+)\. Each is the same model", re.MULTILINE)
_POINTS = re.compile(r"^Crash points hit: (.+?)\.?$", re.MULTILINE)
_CAUGHT = re.compile(r"^Caught: (.+?)\.?$", re.MULTILINE)


def of_other_suites(directory: Path) -> list[str]:
    """A line for each suite, also for one without results."""
    crashes, mutants = _text(directory / "crash-points.md"), _text(directory / "mutants.md")
    models = _text(directory / "model-results.md")
    searches = [int(count.replace(",", "")) for count in _STATES.findall(models)]
    visited = f"{sum(searches):,} states in {len(searches)} searches" if searches else ""
    found = _first(_MUTANTS_OF_MODELS, models)
    return [
        f"* [Crash points](crash-points.md) hit: {_first(_POINTS, crashes) or 'not run'}.",
        f"* [Mutants](mutants.md) of the running system caught: {_first(_CAUGHT, mutants) or 'not run'}.",
        f"* [The models](model-results.md): {visited or 'not run'}; mutants found: {found or 'not run'}.",
    ]


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
