"""The command without the test packages, as `make demo` installs it: `cli.py`."""

import sys

import pytest
from click.testing import CliRunner

from holdfast import __version__
from holdfast.cli import main


@pytest.fixture
def _no_chaos_toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith(("chaos_tests", "holdfast.commands.chaos"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "chaoslib", None)


@pytest.mark.usefixtures("_no_chaos_toolkit")
@pytest.mark.parametrize("words", [["chaos", "list"], ["chaos", "run", "--all"], ["chaos", "--help"]])
def test_a_command_with_missing_packages_names_the_fix(words: list[str]) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "Run: make setup" in done.output


@pytest.mark.usefixtures("_no_chaos_toolkit")
def test_the_list_of_commands_needs_no_optional_package() -> None:
    done = CliRunner().invoke(main, ["--help"])
    assert done.exit_code == 0
    assert "Not installed yet: run `make setup`." in done.output


def test_the_version_matches_the_project() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output
