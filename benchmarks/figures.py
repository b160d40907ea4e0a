"""Measured values by name, one for each round, and their summary."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of the rounds, and the lowest and the highest of them."""

    median: float
    low: float
    high: float
    rounds: int

    def text(self, unit: str = "") -> str:
        """The median with its spread, if there was more than one round."""
        shown = f"**{number(self.median)}**{unit}"
        return shown if self.rounds == 1 else f"{shown} ({number(self.low)} to {number(self.high)})"


class Figures:
    """The values of one run. A ratio is taken within a round, so that disturbances of both sides affect it little."""

    def __init__(self) -> None:
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, name: str, value: float) -> None:
        self._values[name].append(value)

    def has(self, *names: str) -> bool:
        return all(name in self._values for name in names)

    def names(self, prefix: str) -> list[str]:
        """The names that begin with `prefix`, in the order in which they were measured."""
        return [name for name in self._values if name.startswith(prefix)]

    def values(self, name: str) -> list[float]:
        return list(self._values[name])

    def of(self, name: str) -> Summary:
        return _summary(self._values[name])

    def ratio(self, ours: str, theirs: str) -> Summary:
        """The ratio of ours to theirs, per round."""
        return _summary([a / b for a, b in zip(self._values[ours], self._values[theirs], strict=True)])


def number(value: float) -> str:
    """The number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _summary(values: list[float]) -> Summary:
    return Summary(statistics.median(values), min(values), max(values), len(values))
