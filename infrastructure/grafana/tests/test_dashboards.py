"""Dashboards: the committed files are current, and every panel queries existing metrics."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from infrastructure.grafana.__main__ import DIRECTORY, text
from infrastructure.grafana.boards import documents
from infrastructure.grafana.panels import COLUMNS
from infrastructure.prometheus.tests.exposed import known, used
from infrastructure.prometheus.tests.test_rules import RECORDED, promtool, run

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["promtool"]  # a fixture

MADE = documents()
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, document in MADE.items()
    for panel in document["panels"]
    if panel["type"] != "row"
]
# Grafana's own ids: https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
UNITS = {"short", "s", "bytes", "reqps", "eps", "percentunit"}
PROVISIONING = DIRECTORY.parent / "provisioning"


def test_the_committed_files_are_current() -> None:
    assert {file.name: file.read_text(encoding="utf-8") for file in DIRECTORY.glob("*.json")} == {
        name: text(document) for name, document in MADE.items()
    }


def test_there_is_a_dashboard_for_each_topic() -> None:
    assert len({document["uid"] for document in MADE.values()}) == len(MADE) == 5


@pytest.mark.parametrize("panel", PANELS)
def test_each_panel_has_a_title_and_queries_existing_metrics(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    for target in panel["targets"]:
        metrics = used(target["expr"])
        assert metrics
        assert metrics - known() - RECORDED - {"ALERTS"} == set()
        labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        if " by (" in target["expr"]:
            kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", target["expr"]))))
            assert labels <= kept, "the legend names a label that the query drops"


@pytest.mark.parametrize("document", MADE.values(), ids=MADE.keys())
def test_panels_do_not_overlap(document: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        rows, columns = range(place["y"], place["y"] + place["h"]), range(place["x"], place["x"] + place["w"])
        cells = set(itertools.product(columns, rows))
        assert not cells & taken
        assert max(columns) < COLUMNS
        taken |= cells
    numbers = [panel["id"] for panel in document["panels"]]
    assert len(numbers) == len(set(numbers))


def test_every_query_is_valid_promql(promtool: Path, tmp_path: Path) -> None:
    """Each query is checked as a recording rule, because promtool checks those."""
    targets = [target for panel in PANELS for target in panel.values[0]["targets"]]  # type: ignore[index]  # a panel's JSON is untyped
    rules = [{"record": f"panel:query:{number}", "expr": target["expr"]} for number, target in enumerate(targets)]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    run(promtool, "check", "rules", file)


def test_dashboards_and_data_source_are_provisioned() -> None:
    [provider] = yaml.safe_load((PROVISIONING / "dashboards" / "holdfast.yaml").read_text())["providers"]
    compose = (DIRECTORY.parents[2] / "compose.yaml").read_text(encoding="utf-8")
    assert f"./infrastructure/grafana/dashboards:{provider['options']['path']}" in compose
    sources = yaml.safe_load((PROVISIONING / "datasources" / "holdfast.yaml").read_text())["datasources"]
    assert sources[0]["uid"] == MADE["holdfast-overview.json"]["panels"][1]["datasource"]["uid"]
