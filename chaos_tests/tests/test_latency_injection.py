"""`run_latency_injection.py` reports errors before it changes anything. (tests/e2e runs it on a running stack.)"""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from chaos_tests.latency_injection import inject_latency

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def run(*words: str, python: tuple[str, ...] = (sys.executable,)) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*python, "run_latency_injection.py", *words],
        cwd=EXPERIMENTS, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_help_names_the_services_and_the_exit_codes() -> None:
    ended = CliRunner().invoke(inject_latency, ["--help"])
    assert ended.exit_code == 0
    assert "--target-service [orders|inventory|payments|users|archive|operations]" in ended.stdout
    assert "3 no stack runs there" in " ".join(ended.stdout.split())


@pytest.mark.parametrize("service", ["warehouse", ""])
def test_an_unknown_service_is_a_usage_error(service: str) -> None:
    ended = CliRunner().invoke(inject_latency, ["--target-service", service])
    assert ended.exit_code == 2
    assert f"'{service}' is not one of 'orders', 'inventory'" in ended.stderr


def test_without_a_stack_it_names_the_start_command(tmp_path: Path) -> None:
    home = tmp_path / "nowhere"
    ended = run("--target-service", "orders", "--home", str(home))
    assert ended.returncode == 3
    command = Path(sys.executable).with_name("holdfast")
    assert f"No stack runs in {home}." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert f"{command} up --home {home}" in ended.stderr or f"`holdfast up --home {home}`" in ended.stderr
    assert not home.exists()


def test_without_the_libraries_it_names_the_install_command() -> None:
    ended = run("--target-service", "orders", python=(sys.executable, "-S"))
    assert ended.returncode == 2
    assert "No module named" in ended.stderr
    assert "make setup" in ended.stderr
    assert ".venv/bin/activate" in ended.stderr
    assert "Traceback" not in ended.stderr
