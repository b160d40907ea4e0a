"""What memory and storage did during the run: a row with a small curve for each process and for each table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chaos_tests.runners.report.series import Values

SMALL_MEGABYTES = 1.0
WIDTH, HEIGHT = 160, 24


@dataclass(frozen=True, slots=True)
class Usage:
    """Megabytes; `curve` is a path in SVG syntax, `per_order` the growth in bytes."""

    name: str
    start: float
    most: float
    end: float
    per_order: float
    curve: str


def usages(series: Mapping[str, Values], orders: int) -> list[Usage]:
    """The largest first. What was never sampled has no row."""
    rows = [_usage(name, values, orders) for name, values in series.items() if any(v is not None for v in values)]
    return sorted(rows, key=lambda row: -row.end)


def is_small(usage: Usage) -> bool:
    return usage.most < SMALL_MEGABYTES


def _usage(name: str, values: Values, orders: int) -> Usage:
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    start, most, end = known[0][1], max(value for _, value in known), known[-1][1]
    across, up = WIDTH / max(len(values) - 1, 1), (HEIGHT - 2) / (most or 1)
    points = (f"{index * across:.1f} {HEIGHT - 1 - value * up:.1f}" for index, value in known)
    return Usage(name, start, most, end, (end - start) * 1e6 / max(orders, 1), "M" + "L".join(points))
