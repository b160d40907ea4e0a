"""Rules and alerts: their metrics exist, each alert has a runbook and fires only under its condition."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from holdfast.cli import main as cli
from infrastructure.prometheus.program import find
from infrastructure.prometheus.scrape import HERE, RULES
from infrastructure.prometheus.tests.exposed import OTHERS, RABBITMQ, ROOT, known, used

CASES: dict[str, Any] = yaml.load(
    (Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
)
FILES = [yaml.load((HERE / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) for name in RULES]
ENTRIES = [rule for file in FILES for group in file["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in ENTRIES if "record" in rule}
ALERTS = {rule["alert"]: rule for rule in ENTRIES if "alert" in rule}
RUNBOOKS = ROOT / "docs" / "runbooks"
SECTIONS = ["What it means", "Look at", "Do"]


@pytest.fixture(scope="session")
def promtool() -> Path:
    if shutil.which("apt-get") is None and shutil.which("promtool") is None:
        pytest.skip("promtool is not in PATH, and without apt-get it cannot be fetched: get it from prometheus.io")
    return find("promtool")


def run(promtool: Path, *words: str | Path) -> None:
    ended = subprocess.run(
        [promtool, *words], capture_output=True, text=True, timeout=120, check=False, env={"GOMAXPROCS": "1"}
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def runbook(alert: str) -> Path:
    words = re.findall("[A-Z][a-z]+", alert.removeprefix("Holdfast"))
    return RUNBOOKS / f"{'-'.join(words).lower()}.md"


@pytest.mark.parametrize("rule", ENTRIES, ids=lambda rule: str(rule.get("alert") or rule.get("record")))
def test_a_rule_uses_existing_metrics(rule: dict[str, Any]) -> None:
    metrics = used(rule["expr"])
    assert metrics, "no metric was found in it"
    assert metrics - known() - RECORDED == set()


def test_metric_names_are_found_in_expressions() -> None:
    expression = 'sum by (le, job) (rate(a_bucket{b="c", d=~"e_f"}[5m])) / on (queue) x:y:z > 1e3 or vector(0)'
    assert used(expression) == {"a_bucket", "x:y:z"}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_severity_and_a_runbook(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["runbook_url"] == str(runbook(alert).relative_to(ROOT))
    text = runbook(alert).read_text(encoding="utf-8")
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    commands = set(re.findall(r"`holdfast ([a-z-]+)", text))
    assert commands, "no command in it"
    assert commands <= set(cli.list_commands(click.Context(cli)))


def test_every_runbook_belongs_to_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == {runbook(alert).stem for alert in ALERTS}


def test_every_alert_has_a_test_case() -> None:
    assert {name.partition(",")[0] for name in CASES} == set(ALERTS)


@pytest.mark.slow
def test_each_alert_fires_only_under_its_condition(promtool: Path, tmp_path: Path) -> None:
    """In one run, because each run takes half a second."""
    tests = [part for name, case in CASES.items() for part in _tests(name.partition(",")[0], case)]
    file = tmp_path / "tests.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(HERE / name) for name in RULES], "tests": tests}), encoding="utf-8"
    )
    run(promtool, "test", "rules", file)


def _tests(alert: str, case: dict[str, Any]) -> list[dict[str, Any]]:
    rule, labels = ALERTS[alert], case["labels"]
    annotations = {name: _filled(text, labels) for name, text in rule["annotations"].items()}
    expected = [{"exp_labels": rule["labels"] | labels, "exp_annotations": annotations}]
    return [_test(alert, case, case["fires"], expected), _test(alert, case, case["quiet"], [])]


def _test(alert: str, case: dict[str, Any], series: list[str], expected: list[dict[str, Any]]) -> dict[str, Any]:
    split = [re.fullmatch(r"(\S+\{.*\}) (.+)", each) for each in series]
    assert all(split), series
    return {
        "interval": "1m",
        "input_series": [{"series": each[1], "values": each[2]} for each in split if each],
        "alert_rule_test": [{"alertname": alert, "eval_time": case["at"], "exp_alerts": expected}],
    }


def _filled(text: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels[match[1]], text)


def test_the_metrics_page_names_every_metric() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:holdfast|http|sandbox|rabbitmq)_\w+)`", page))
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in known() - RABBITMQ - OTHERS}
    assert ours - named == set(), "these are missing"
    assert named - ours - RABBITMQ == set(), "there are none of these"
