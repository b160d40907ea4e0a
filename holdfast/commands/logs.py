"""holdfast logs: the log files of the processes in the home."""

import os
import time
from pathlib import Path

import click

from holdfast.commands.options import home_option, no_stack
from infrastructure.local.errors import last_lines
from infrastructure.local.home import existing_home

_PAUSE_SECONDS = 0.25


class _Tail:
    """A growing file, which may be rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._inode = 0
        self._place = 0
        if path.exists():
            self._inode, self._place = path.stat().st_ino, path.stat().st_size

    def new_lines(self) -> list[str]:
        """Return the complete lines since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_ino != self._inode or found.st_size < self._place:
                self._inode, self._place = found.st_ino, 0
            file.seek(self._place)
            text = self._rest + file.read()
            self._place = file.tell()
        *lines, self._rest = text.split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]


@click.command()
@click.argument("process", required=False)
@home_option
@click.option("-f", "--follow", is_flag=True, help="Follow new lines (Ctrl-C ends it).")
@click.option("-n", "--lines", type=click.IntRange(0), default=20, show_default=True, help="Number of last lines.")
def logs(process: str | None, home: Path, follow: bool, lines: int) -> None:
    """Print the end of PROCESS's log, or of every log.

    Exit codes: 0 printed; 2 there is no such log (the text lists the existing ones); 3 there is no stack in this home.
    """
    known = existing_home(home)
    if known is None:
        no_stack(home)
    paths = {path.stem: path for path in sorted((known.path / "log").glob("*.log"))}
    if process and process not in paths:
        raise click.BadParameter(f"there is no log of {process!r}; there are {', '.join(paths)}")
    chosen = {process: paths[process]} if process else paths
    tails = {name: _Tail(path) for name, path in chosen.items()}
    for name, path in chosen.items():
        if not process:
            click.secho(f"{name}:", bold=True)
        click.echo(last_lines(path, lines, indent="" if process else "  "))
    if follow:
        _follow(tails, named=not process)


def _follow(tails: dict[str, _Tail], named: bool) -> None:
    width = max(map(len, tails), default=0)
    while True:
        for name, tail in tails.items():
            for line in tail.new_lines():
                click.echo(f"{name:{width}}  {line}" if named else line)
        time.sleep(_PAUSE_SECONDS)
