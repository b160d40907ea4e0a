"""Crash points: each kills a test build at its place, and nothing else ever does."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.resilience.crash_points import OFF_THE_WAY, POINTS

ROOT = Path(__file__).parents[3]
WALK = """
from common.resilience.crash_points import crash_point
for name in ("relay.fetched", "relay.published", "relay.fetched", "relay.fetched"):
    print(name, flush=True)
    crash_point(name)
print("the end")
"""


def walk(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WALK],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("point", "steps"), [("relay.fetched", 1), ("relay.published", 2), ("relay.fetched:2", 3), ("relay.fetched:3", 4)]
)
def test_it_kills_where_it_was_asked_to(point: str, steps: int) -> None:
    walked = walk(HOLDFAST_CRASH_POINT=point, HOLDFAST_TEST_BUILD="1")
    assert walked.returncode == -signal.SIGKILL
    assert len(walked.stdout.splitlines()) == steps


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HOLDFAST_TEST_BUILD": "1"},
        {"HOLDFAST_CRASH_POINT": "relay.fetched"},
        {"HOLDFAST_CRASH_POINT": "relay.fetched", "HOLDFAST_TEST_BUILD": "0"},
        {"HOLDFAST_CRASH_POINT": "relay.fetched:4", "HOLDFAST_TEST_BUILD": "1"},
        {"HOLDFAST_CRASH_POINT": "orders.placed", "HOLDFAST_TEST_BUILD": "1"},
    ],
    ids=str,
)
def test_otherwise_nothing_happens(environment: dict[str, str]) -> None:
    walked = walk(**environment)
    assert (walked.returncode, walked.stdout.splitlines()[-1]) == (0, "the end")


def test_a_point_that_is_not_there_is_named() -> None:
    walked = walk(HOLDFAST_CRASH_POINT="orders.plaecd", HOLDFAST_TEST_BUILD="1")
    assert walked.returncode == 1
    assert "orders.plaecd" in walked.stderr


def test_every_point_is_a_place_and_every_place_a_point() -> None:
    places: set[str] = set()
    for room in ("common", "services", "workers"):
        for path in (ROOT / room).rglob("*.py"):
            if "tests" not in path.parts:
                places |= set(re.findall(r"crash_point\(\"([a-z_.]+)\"\)", path.read_text(encoding="utf-8")))
    assert places == {*POINTS, *OFF_THE_WAY}
