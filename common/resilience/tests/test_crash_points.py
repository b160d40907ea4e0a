"""Crash points: each kills a test build at its place, and nothing else ever does."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
