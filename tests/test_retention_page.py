"""The table of retention periods in docs/capacity.md is complete, and its periods are those of the source."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import import_module

import pytest

from services.notifications.settings import WebhookSettings
from tests.test_tree import ROOT, is_test, named, python_files
from workers.scheduler.main import SWEEPS

PAGE = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8").partition("## Data retention")[2]
ROWS = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in PAGE.splitlines() if line[:1] == "|"][2:]
SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
PERIODS = {
    (file, name): period
    for _, period, source, _ in ROWS
    for name, files in re.findall(r"^`([\w.]+)` in (.+)$", source)
    for file in re.findall(r"`([^`]+)`", files)
}


def seconds_of(period: str) -> float:
    number, unit = period.split()
    return int(number) * SECONDS[unit.removesuffix("s")]


def period_in(file: str, name: str) -> float:
    """The period in the source, in seconds: a constant of a module, or days in another file."""
    if file.endswith(".py"):
        return float(getattr(import_module(file.removesuffix(".py").replace("/", ".")), name))
    (days,) = set(re.findall(rf"{re.escape(name)}\W+(\d+)d?\b", (ROOT / file).read_text(encoding="utf-8")))
    return int(days) * SECONDS["day"]


@pytest.mark.parametrize(("file", "name"), PERIODS, ids=str)
def test_each_documented_period_matches_the_source(file: str, name: str) -> None:
    assert seconds_of(PERIODS[file, name]) == period_in(file, name)


def test_the_documented_default_matches_the_setting() -> None:
    (period,) = [period for _, period, source, _ in ROWS if source == "`WEBHOOK_KEPT_SECONDS`"]
    defaults = {field.name: field.default for field in fields(WebhookSettings)}
    assert seconds_of(period) == defaults["webhook_kept_seconds"]


def test_every_ttl_index_and_every_pruning_sweep_is_in_the_table() -> None:
    expiring = {
        (named(path), constant)
        for path in python_files("common", "services", "workers")
        if not is_test(path)
        for constant in re.findall(r"expireAfterSeconds=([A-Z_]+)", path.read_text(encoding="utf-8"))
    }
    assert len(expiring) > 5
    assert expiring - PERIODS.keys() == set()
    pruning = {sweep.name for sweeps in SWEEPS.values() for sweep in sweeps if sweep.name.startswith("prune-")}
    assert {f"sweep `{name}`" for name in pruning} == {by for *_, by in ROWS if by.startswith("sweep")}
