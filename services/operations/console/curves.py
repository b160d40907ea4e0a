"""Points of the last hour as lines of an SVG picture. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.operations.console.trends import RECENT, SAMPLES, per_minute, typical_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.operations.console.trends import Point

WIDTH, HEIGHT = 720.0, 120.0
SMOOTHED = 4  # points to one step of a line: a minute
USUAL, OUTLIER = 0.75, 5  # a scale of more than five times the third quartile is cut off
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Line:
    """`pieces` are the `points` attributes of polylines; missing points are gaps."""

    name: str
    pieces: list[str]
    now: float | None


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines on one scale that ends at `top`. `cut` is the largest value, if it lies above that."""

    lines: list[Line]
    top: float
    minutes: int
    cut: float | None = None


def rates(points: Sequence[Point]) -> Curves:
    """Orders accepted, confirmed and cancelled per minute."""
    windows = _windows(points)
    values = {name: [per_minute(window, name) for window in windows] for name in ("accepted", "confirmed", "cancelled")}
    latest = points[-RECENT:]
    return _curves(values, {name: per_minute(latest, name) for name in values}, len(points))


def confirmation(points: Sequence[Point]) -> Curves:
    """The median seconds from an order's acceptance to its confirmation."""
    values = {"typical": [typical_seconds(window) for window in _windows(points)]}
    return _curves(values, {"typical": typical_seconds(points[-RECENT:])}, len(points))


def _windows(points: Sequence[Point]) -> list[Sequence[Point]]:
    return [points[max(0, end - SMOOTHED) : end] for end in range(1, len(points) + 1)]


def _curves(values: dict[str, list[float | None]], now: dict[str, float | None], length: int) -> Curves:
    known = sorted(value for line in values.values() for value in line if value is not None)
    largest, usual = (known[-1], known[int(len(known) * USUAL)]) if known else (0.0, 0.0)
    cut = largest if len(known) >= SMOOTHED and largest > OUTLIER * usual > 0 else None
    top = nice_top(usual * 2 if cut else largest)
    cut = cut if cut and cut > top else None
    lines = [Line(name, _pieces(line, top, SAMPLES - length), now[name]) for name, line in values.items()]
    return Curves(lines, top, length // SMOOTHED, cut)


def _pieces(values: Sequence[float | None], top: float, offset: int) -> list[str]:
    pieces: list[list[str]] = [[]]
    for index, value in enumerate(values, offset + 1):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{index / SAMPLES * WIDTH:.1f},{HEIGHT - min(value / top, 1.0) * HEIGHT:.1f}")
    return [" ".join(piece) for piece in pieces if piece]


def nice_top(value: float) -> float:
    """The end of a scale: 1, 2 or 5 times a power of ten, not below `value`."""
    power = 0.01
    while True:
        for step in _STEPS:
            if step * power >= value:
                return max(step * power, 0.1)
        power *= 10
