"""Figures as shapes: scales with round steps, lines, bars, and bands for faults. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chaos_tests.runners.report.series import Values

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1000, 136, 12, 16, 26
LANE, LABEL_GAP, MOST_NUMBERS = 26, 15, 40
ROUND_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
PALEST_SECONDS = 4.0  # a narrower band would be invisible


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    """A fault on the time axis; `number` is empty if there is no space."""

    x: float
    width: float
    number: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series: `path` in SVG syntax, `area` the surface below it, `bars` instead of a path."""

    name: str
    style: str
    path: str = ""
    area: str = ""
    bars: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A series to draw: values per span, as line, area or bars. `style` is a class of the style sheet."""

    name: str
    style: str
    values: Values
    kind: str = "line"


@dataclass(frozen=True, slots=True)
class Panel:
    """The texts of a figure."""

    title: str
    unit: str
    note: str
    height: int = 190

    @property
    def bottom(self) -> int:
        return self.height - BOTTOM


@dataclass(frozen=True, slots=True)
class Figure:
    """`values` is the same again for the tool tip."""

    panel: Panel
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Line]
    values: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Time:
    """The axis that all figures share."""

    seconds: float
    step: float

    def x(self, seconds: float) -> float:
        share = min(max(seconds, 0.0), self.seconds) / self.seconds
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 2)

    def ticks(self) -> list[Tick]:
        step = next((each for each in ROUND_SECONDS if self.seconds / each <= 12), 14_400)
        return [Tick(self.x(at), clock(at)) for at in range(0, int(self.seconds) + 1, step)]


def clock(seconds: float) -> str:
    """75 seconds are 1:15."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def bands(time: Time, faults: Sequence[dict[str, Any]]) -> list[Band]:
    """The bands of faults. Overlapping numbers are omitted."""
    made, last = [], -math.inf
    for number, fault in enumerate(faults, 1):
        x, end = time.x(fault["began"]), time.x(fault["ended"])
        middle = (x + end) / 2
        fits = len(faults) <= MOST_NUMBERS and middle - last >= LABEL_GAP
        last = middle if fits else last
        title = f"{number}. {fault['name']}, {fault['ended'] - fault['began']:.1f} s from {clock(fault['began'])}"
        made.append(Band(x, round(max(end - x, PALEST_SECONDS / 2), 2), str(number) if fits else "", title))
    return made


def linear(time: Time, panel: Panel, series: Sequence[Drawn]) -> Figure:
    """A figure from zero up."""
    top = max((value for each in series for value in each.values if value is not None), default=0.0)
    step = round_step(max(top, 1.0))
    highest = step * max(1, math.ceil(top / step - 1e-9))

    def y(value: float) -> float:
        return round(panel.bottom - value / highest * (panel.bottom - TOP), 2)

    ticks = [Tick(y(step * n), number(step * n)) for n in range(round(highest / step) + 1)]
    return _figure(time, panel, ticks, [_line(time, each, y, panel.bottom) for each in series], series)


def logarithmic(time: Time, panel: Panel, series: Sequence[Drawn]) -> Figure:
    """A figure of milliseconds whose steps are tenfold."""
    known = [value for each in series for value in each.values if value]
    low = math.floor(math.log10(min(known, default=1.0)))
    high = max(low + 1, math.ceil(math.log10(max(known, default=10.0))))

    def y(value: float) -> float:
        share = (math.log10(max(value, 10.0**low)) - low) / (high - low)
        return round(panel.bottom - share * (panel.bottom - TOP), 2)

    ticks = [Tick(y(10.0**power), milliseconds(10.0**power)) for power in range(low, high + 1)]
    return _figure(time, panel, ticks, [_line(time, each, y, panel.bottom) for each in series], series)


def _figure(time: Time, panel: Panel, ticks: list[Tick], lines: list[Line], series: Sequence[Drawn]) -> Figure:
    values = [
        {"name": each.name, "style": each.style, "values": [None if v is None else round(v, 2) for v in each.values]}
        for each in series
    ]
    return Figure(panel, time.ticks(), ticks, lines, values)


def _line(time: Time, drawn: Drawn, y: Callable[[float], float], bottom: float) -> Line:
    if drawn.kind == "bars":
        width = max(0.8, (time.x(time.step) - LEFT) * 0.8)
        shapes = [
            f"M{time.x((index + 0.1) * time.step)} {bottom}V{y(value)}h{width:.2f}V{bottom}Z"
            for index, value in enumerate(drawn.values)
            if value
        ]
        return Line(drawn.name, drawn.style, bars="".join(shapes))
    pieces = _pieces(
        [(time.x((i + 0.5) * time.step), y(v)) if v is not None else None for i, v in enumerate(drawn.values)]
    )
    path = area = ""
    for piece in pieces:
        points = "L".join(f"{x} {at}" for x, at in piece)
        path += f"M{points}" + ("h1.5" if len(piece) == 1 else "")
        area += f"M{piece[0][0]} {bottom}L{points}L{piece[-1][0]} {bottom}Z"
    return Line(drawn.name, drawn.style, path, area if drawn.kind == "area" else "")


def _pieces(points: list[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Runs of known points: unknown ones are a gap in the line."""
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return [piece for piece in found if piece]


def round_step(top: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that makes at most five of `top`."""
    power = 10.0 ** math.floor(math.log10(top / 5))
    return next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power * 5 >= top - 1e-9)


def number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def milliseconds(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def lanes(time: Time, faults: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The faults of each target on its own lane, with a tail until orders were confirmed again.

    A pair is on both lanes.
    """
    targets = list(dict.fromkeys(target for fault in faults for target in _targets(fault)))
    rows = {target: index for index, target in enumerate(targets)}
    bars = []
    for number_, fault in enumerate(faults, 1):
        x, end = time.x(fault["began"]), time.x(fault["ended"])
        recovery = fault["recovery_seconds"]
        recovered = time.x(fault["healed"] + recovery) if recovery is not None else time.x(time.seconds)
        reported = f"orders again after {recovery:.1f} s" if recovery is not None else "no order afterwards"
        title = f"{number_}. {fault['name']}, {fault['ended'] - fault['began']:.1f} s; {reported}"
        bar = {
            "x": x, "width": round(max(end - x, PALEST_SECONDS), 2), "end": end, "recovered": recovered,
            "title": title, "ok": recovery is not None, "number": number_,
        }  # fmt: skip
        tops = (TOP + rows[target] * LANE for target in _targets(fault))
        bars += [bar | {"y": top + 6, "middle": top + LANE / 2} for top in tops]
    labels = [Tick(TOP + index * LANE + LANE / 2, target) for index, target in enumerate(targets)]
    height = TOP + LANE * len(targets) + BOTTOM
    return {"bars": bars, "labels": labels, "height": height, "x_ticks": time.ticks(), "bottom": height - BOTTOM}


def _targets(fault: dict[str, Any]) -> list[str]:
    """Its target; a pair names both."""
    return list(dict.fromkeys((fault["target"] or fault["name"]).split(" and ")))
