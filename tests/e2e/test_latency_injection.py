"""The README's chaos command on a running stack, which is unchanged afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.local.spec import read_specs
from infrastructure.local.stack import Stack
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
SCRIPT = "run_latency_injection.py"
PAGES = ("README.md", "chaos_tests/README.md")


def pasted() -> str:
    """The line with the command, identical in each page."""
    lines = [line for page in PAGES for line in (ROOT / page).read_text(encoding="utf-8").splitlines()]
    found = [line for line in lines if f"python {SCRIPT}" in line]
    assert len(found) == len(PAGES)
    assert len(set(found)) == 1
    return found[0]


@pytest.mark.usefixtures("shop")
def test_the_promises_hold_under_latency_of_orders(stack: Stack) -> None:
    before = read_specs(stack.home.programs_file)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOLDFAST_HOME": str(stack.home.path),
    }
    ended = subprocess.run(
        pasted(), shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert ended.returncode == 0, ended.stderr
    output = " ".join(ended.stderr.split())
    assert "latency-injection (orders)" in output
    assert "valid: 1 of 1 experiments passed" in output
    assert read_specs(stack.home.programs_file) == before
    eventually(lambda: all(process["state"] == "running" for process in stack.status()["processes"]))
