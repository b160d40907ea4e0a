"""The list of crash points (`chaos_tests/crashes/points.py`) matches the code."""

from __future__ import annotations

import re

from chaos_tests.crashes.points import OFF_THE_ORDER_PATH, ON_THE_ORDER_PATH
from tests.test_tree import ROOT, is_test, python_files

_CALL = re.compile(r"crash_point\(\"([a-z_.]+)\"\)")


def test_the_list_matches_the_calls_of_crash_points() -> None:
    files = [path for path in python_files("common", "services", "workers") if not is_test(path)]
    called = {name for path in files for name in _CALL.findall(path.read_text(encoding="utf-8"))}
    assert called == {*ON_THE_ORDER_PATH, *OFF_THE_ORDER_PATH}


def test_the_results_contain_every_tested_crash_point() -> None:
    text = (ROOT / "docs" / "crash-points.json").read_text(encoding="utf-8")
    assert set(re.findall(r'"place": "([a-z_.]+)"', text)) == set(ON_THE_ORDER_PATH)
