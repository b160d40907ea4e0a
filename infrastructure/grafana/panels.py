"""The parts of a dashboard in Grafana's JSON model, reduced to the parameters of a panel.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 39
COLUMNS = 24
_SOURCE = {"type": "prometheus", "uid": "prometheus"}


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL query, and the legend of its lines; `{{label}}` is replaced by a label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A graph, or one number (`stat`). `unit` is Grafana's id of one; from `red` on the number is red."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    says: str = ""
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    stacked: bool = False
    red: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A heading with its panels, left to right and on."""

    title: str
    panels: tuple[Panel, ...]


def graph(title: str, unit: str, *queries: Query, says: str = "", stacked: bool = False, width: int = 8) -> Panel:
    return Panel(title=title, unit=unit, queries=queries, says=says, stacked=stacked, width=width)


def stat(title: str, unit: str, query: str, *, says: str = "", red: float | None = None, width: int = 4) -> Panel:
    return Panel(
        title=title, unit=unit, queries=(Query(query),), says=says, kind="stat", width=width, height=4, red=red
    )


def dashboard(uid: str, title: str, says: str, rows: tuple[Row, ...]) -> dict[str, Any]:
    """Return the JSON model: rows below each other, their panels placed from the left."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        panels.append(_heading(row.title, len(panels) + 1, top))
        top += 1
        left = lowest = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top = 0, top + lowest
                lowest = 0
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            panels.append(_panel(panel, len(panels) + 1, place))
            left, lowest = left + panel.width, max(lowest, panel.height)
        top += lowest
    return {
        "uid": uid,
        "title": title,
        "description": says,
        "tags": ["holdfast"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "tags": ["holdfast"], "title": "Holdfast", "asDropdown": False}],
        "panels": panels,
    }


def _heading(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none"}
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 20 if panel.stacked else 5, "stacking": stacking}
    if panel.red is not None:
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}, {"color": "red", "value": panel.red}]
        defaults |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
