"""Every command's `--help` has examples, and each example is a valid command line."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from holdfast.cli import main
from holdfast.commands.examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHAOS_RUN = ".holdfast-chaos/runs/1"
_OF_THE_SHELL = {"<", ">", "|"}


def _commands(command: click.Command, name: str = "") -> Iterator[str]:
    if name:
        yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            subcommand = command.get_command(context, below)
            assert subcommand is not None
            yield from _commands(subcommand, f"{name} {below}".strip())


COMMANDS = list(_commands(main))


def _words(line: str) -> list[str]:
    """The command's own words, without shell syntax."""
    line = line.removeprefix('eval "$(').removesuffix(')"')
    words = shlex.split(line)
    end = next((place for place, word in enumerate(words) if word in _OF_THE_SHELL), len(words))
    return words[:end]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_an_example(name: str) -> None:
    shown = CliRunner().invoke(main, [*name.split(), "--help"]).output
    assert "Example" in shown
    for line in EXAMPLES[name]:
        assert line in shown


def test_every_example_is_of_an_existing_command() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_each_example_is_a_valid_command_line(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / CHAOS_RUN).mkdir(parents=True)  # `report` requires an existing directory
    program, *words = _words(line)
    assert program == "holdfast"
    context = main.make_context(program, words)
    command: click.Command = main
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found
        context = command.make_context(found.name, rest, parent=context)
