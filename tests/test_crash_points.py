"""The list of crash points (`chaos_tests/crashes/points.py`) matches the code."""

from __future__ import annotations

import re

from chaos_tests.crashes.points import OFF_THE_ORDER_PATH, ON_THE_ORDER_PATH
from tests.test_tree import ROOT, is_test, python_files

_CALL = re.compile(r"crash_point\(\"([a-z_.]+)\"\)")


def test_every_call_is_in_the_list_and_everything_in_the_list_is_called() -> None:
    files = [path for path in python_files("common", "services", "workers") if not is_test(path)]
    called = {name for path in files for name in _CALL.findall(path.read_text(encoding="utf-8"))}
    assert called == {*ON_THE_ORDER_PATH, *OFF_THE_ORDER_PATH}


def test_the_published_results_are_of_every_point_on_an_orders_way() -> None:
    text = (ROOT / "docs" / "crash-points.json").read_text(encoding="utf-8")
    assert set(re.findall(r'"place": "([a-z_.]+)"', text)) == set(ON_THE_ORDER_PATH)
