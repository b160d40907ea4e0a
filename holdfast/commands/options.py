"""Options and exit codes that several commands share."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from infrastructure.local.errors import StackError
from infrastructure.local.home import DEFAULT_HOME, REPOSITORY

EXIT_FAILED = 1
EXIT_NO_STACK = 3


def home_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --home."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        default=_default_home,
        show_default=str(DEFAULT_HOME),
        envvar="HOLDFAST_HOME",
        help="The stack's directory.",
    )(command)


def _default_home() -> Path:
    """`.holdfast` in this folder; in a folder of the repository without one, that of the repository."""
    is_inside = REPOSITORY in Path.cwd().parents
    return REPOSITORY / DEFAULT_HOME if is_inside and not DEFAULT_HOME.exists() else DEFAULT_HOME


@contextmanager
def report_stack_errors() -> Iterator[None]:
    """Turn a StackError into its text on standard error and exit code 1."""
    try:
        yield
    except StackError as error:
        click.echo(error, err=True)
        raise SystemExit(EXIT_FAILED) from error


def program() -> str:
    """The name of this command: with its path if it is not in PATH (`.venv` need not be activated)."""
    typed = Path(sys.argv[0])
    return str(typed) if typed.name == "holdfast" and shutil.which("holdfast") is None else "holdfast"


def no_stack(home: Path) -> NoReturn:
    """Exit with code 3."""
    click.echo(f"No stack runs in {home}. `{program()} up --home {home}` starts one.", err=True)
    raise SystemExit(EXIT_NO_STACK)
