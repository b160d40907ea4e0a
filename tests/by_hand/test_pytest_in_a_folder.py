"""`cd services/orders && pytest` finds and runs the folder's own tests; so does every other folder.

One folder of each kind is tested; each further one takes two to four seconds to collect its tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.by_hand.starting import SECONDS
from tests.test_tree import ROOT

if TYPE_CHECKING:
    from infrastructure.local.sharing import Servers

PYTEST = str(Path(sys.executable).with_name("pytest"))


def run(folder: str, *words: str) -> str:
    """The command's output; fails unless its exit code is 0."""
    # Without the variables that the outer run sets for its own processes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        [PYTEST, "-q", *words],
        cwd=ROOT / folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_services_tests_run_there() -> None:
    printed = run("services/orders", "-m", "not integration", "-rA")
    ran = {line.split()[1].partition("::")[0] for line in printed.splitlines() if line.startswith("PASSED ")}
    assert "tests/test_domain.py" in ran, "named from the folder in which it was typed"
    assert ran <= {f"tests/{path.name}" for path in (ROOT / "services/orders/tests").glob("test_*.py")}


@pytest.mark.integration
def test_a_workers_tests_run_there_on_real_servers(servers: Servers) -> None:
    assert servers  # the servers are shared with the inner run
    assert " passed" in run("workers/users")
