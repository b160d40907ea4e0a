"""pip, with how far it is: one moving line on a terminal, a line now and then elsewhere."""

import subprocess
import sys
from collections import deque
from pathlib import Path

from infrastructure.local.errors import StackError

_EVERY = 15
_KEPT_LINES = 20


def install(python: Path, arguments: list[str], expected: int) -> None:
    """Run `pip install`; StackError with its last words if it fails. `expected` packages are counted."""
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    seen = 0
    with subprocess.Popen(  # noqa: S603
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        for line in pip.stdout or ():
            last.append(line.rstrip())
            if expected and line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                _show(f"{seen:3}/{expected} {_name(line)}", seen % _EVERY == 0)
            elif line.startswith("Installing collected"):
                _show("unpacking them", moment=True)
        code = pip.wait()
    _clear()
    if code != 0:
        raise StackError("pip failed:\n" + "\n".join(last))


def _name(line: str) -> str:
    return line.removeprefix("Collecting ").removeprefix("Requirement already satisfied: ").split()[0]


def _show(text: str, moment: bool) -> None:
    if sys.stdout.isatty():
        sys.stdout.write(f"\r      {text[:60]:60}")
        sys.stdout.flush()
    elif moment:
        print(f"      {text}", flush=True)  # noqa: T201


def _clear() -> None:
    if sys.stdout.isatty():
        sys.stdout.write("\r" + " " * 70 + "\r")
        sys.stdout.flush()
