"""Prometheus accepts the files that the command writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from infrastructure.local.home import open_home, remember
from infrastructure.prometheus.__main__ import CONTAINERS_FILE, main
from infrastructure.prometheus.tests.test_rules import promtool, run

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["promtool"]  # a fixture


def test_the_configuration_of_a_native_stack_is_valid(promtool: Path, tmp_path: Path) -> None:
    remember(open_home(tmp_path / "home", 9500))
    ended = CliRunner().invoke(main, ["write", str(tmp_path / "made"), "--home", str(tmp_path / "home")])
    assert ended.exit_code == 0
    file = tmp_path / "made" / "prometheus.yml"
    assert ended.stdout.strip() == str(file)
    assert "127.0.0.1:9503" in file.read_text(encoding="utf-8")
    run(promtool, "check", "config", file)


def test_the_configuration_for_containers_is_valid(promtool: Path) -> None:
    run(promtool, "check", "config", CONTAINERS_FILE)


def test_a_missing_stack_is_reported(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["write", str(tmp_path / "made"), "--home", str(tmp_path / "nowhere")])
    assert ended.exit_code == 1
    assert "no stack" in ended.stderr
