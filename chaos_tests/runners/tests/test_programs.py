"""The results of a program: stored, merged with earlier ones, and a reliable exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from chaos_tests.runners.programs import Results, finish, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    passed: bool = True


def render(rows: Sequence[Row]) -> str:
    return table(("name",), [(row.name,) for row in rows])


@pytest.fixture
def results(tmp_path: Path) -> Results[Row]:
    return Results("things", "page", Row, lambda row: row.name, render, tmp_path)


def test_the_summary_and_the_page_have_the_same_rows(results: Results[Row]) -> None:
    finish(results, [Row("a"), Row("b|\n")])
    summary = json.loads((results.directory / "page.json").read_text())
    assert (summary["program"], summary["passed"]) == ("holdfast chaos things", True)
    assert results.read() == [Row("a"), Row("b|\n")]
    assert (results.directory / "page.md").read_text() == "| name |\n| --- |\n| a |\n| b\\|  |\n"


def test_rows_that_were_not_measured_again_are_kept(results: Results[Row]) -> None:
    finish(results, [Row("a"), Row("b"), Row("c")])
    with pytest.raises(SystemExit) as ended:
        finish(results, [Row("d"), Row("b", passed=False)], partly=True)
    assert ended.value.code == 1
    assert results.read() == [Row("a"), Row("b", passed=False), Row("c"), Row("d")]


def test_a_complete_run_replaces_all_rows(results: Results[Row]) -> None:
    finish(results, [Row("of an earlier table")])
    finish(results, [Row("a")])
    assert results.read() == [Row("a")]


def test_a_run_without_measurements_fails(results: Results[Row]) -> None:
    with pytest.raises(SystemExit):
        finish(results, [])
