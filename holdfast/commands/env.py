"""holdfast env: the `.env` to start a service or a worker by hand."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from holdfast.commands.options import home_option, no_stack
from infrastructure.local import compose_env
from infrastructure.local.env_files import EXAMPLE, FILE, FOLDERS, filled, name_of, values_of
from infrastructure.local.home import REPOSITORY, existing_home, write_private
from infrastructure.local.stack import Stack

_FOLDERS = {name_of(folder): folder for folder in FOLDERS}


@click.command()
@click.argument("name", type=click.Choice(list(_FOLDERS)), required=False)
@home_option
@click.option(
    "--compose", is_flag=True, help="Use the servers of compose.dev.yaml, with the passwords in compose's .env."
)
@click.option("--write", is_flag=True, help="Write .env next to main.py; without NAME for every service and worker.")
def env(name: str | None, home: Path, compose: bool, write: bool) -> None:
    """Print the settings of NAME (orders, worker-orders, relay ...) for `python main.py`, with the stack's passwords.

    For example: holdfast env orders > services/orders/.env, or with --write. --write keeps existing values, except
    ports, addresses and secrets.

    Exit codes: 0 printed or written; 1 compose's .env is missing; 2 usage error; 3 there is no stack in this home.
    """
    if not name and not write:
        raise click.UsageError(f"name one of {', '.join(_FOLDERS)}, or write them all with --write")
    values = _compose_values() if compose else _stack_values(home)
    for folder in [_FOLDERS[name]] if name else FOLDERS:
        file = REPOSITORY / folder / FILE
        known = file if write and file.exists() else REPOSITORY / folder / EXAMPLE
        text = filled(known.read_text(encoding="utf-8"), values(folder))
        if write:
            write_private(file, text)
            click.echo(f"wrote {folder}/{FILE}")
        else:
            click.echo(text, nl=False)


def _stack_values(home: Path) -> Callable[[str], dict[str, str]]:
    if existing_home(home) is None:
        no_stack(home)
    stack = Stack(home)
    found, credentials = stack.home, stack.credentials
    return lambda folder: values_of(folder, found, credentials, os.environ)


def _compose_values() -> Callable[[str], dict[str, str]]:
    file = REPOSITORY / FILE
    if not file.exists():
        raise click.ClickException(f"there is no {file}: `holdfast secrets` creates it, and compose.dev.yaml reads it")
    variables = compose_env.read(file)
    return lambda folder: compose_env.values_of(folder, variables)
