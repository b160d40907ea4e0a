"""Two charts in one SVG file, without a library: throughput and latency by offered load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 440, 300, 62, 34, 12, 44
TICKS = 4
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37")


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over `x`; `lines` is name -> values."""

    title: str
    x_name: str
    x: Sequence[float]
    lines: dict[str, Sequence[float]]


def svg(*charts: Chart) -> str:
    """The charts side by side."""
    whole = WIDTH * len(charts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {HEIGHT}"',
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{whole}" height="{HEIGHT}" fill="white"/>',
    ]
    for number, chart in enumerate(charts):
        parts += [f'<g transform="translate({number * WIDTH},0)">', *_drawn(chart), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _drawn(chart: Chart) -> list[str]:
    x_most = _round_up(max(chart.x))
    y_most = _round_up(max(max(values) for values in chart.lines.values()))
    parts = [_text(LEFT, 16, chart.title, "start", bold=True), *_axes(chart.x_name, x_most, y_most)]
    for number, (name, values) in enumerate(chart.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [(_x(x, x_most), _y(y, y_most)) for x, y in zip(chart.x, values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
        parts.append(_text(LEFT + 8, TOP + 12 + 14 * number, name, "start", colour=colour))
    return parts


def _axes(x_name: str, x_most: float, y_most: float) -> list[str]:
    parts = [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_name, "middle")]
    for tick in range(TICKS + 1):
        share = tick / TICKS
        x, y = _x(share * x_most, x_most), _y(share * y_most, y_most)
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>',
            _text(LEFT - 6, y + 4, f"{share * y_most:g}", "end"),
            _text(x, HEIGHT - BOTTOM + 16, f"{share * x_most:g}", "middle"),
        ]
    return parts


def _x(value: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / most


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most


def _round_up(value: float) -> float:
    """The next number of the form 1, 2, 4 or 8 times a power of ten."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next((power * digit for digit in (1, 2, 4, 8) if power * digit >= value), power * 10)


def _text(x: float, y: float, text: str, anchor: str, *, colour: str = "#1f2328", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{text}</text>'
