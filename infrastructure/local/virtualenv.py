"""`.venv`: an environment with pip, for any Python of the distribution.

Guarantee: afterwards there is an environment of this Python version with pip, or none, with the reason. A Python
without `ensurepip` (Debian's without python3-venv) gets the distribution's own pip, verified by apt. (Standard library
only: it runs before anything is installed.)
"""

import os
import subprocess
import sys
from pathlib import Path

from infrastructure.local.cache import cache_directory, filled, locked
from infrastructure.local.debs import PrivateApt
from infrastructure.local.errors import StackError
from infrastructure.local.setup_errors import SetupError, SetupLog

_SECONDS = 300
_CHECK_SECONDS = 60
_INSTALL = (
    f"Debian, Ubuntu: sudo apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv. "
    "Another Python: make setup PYTHON=/path/to/python3"
)


def version_of(python: Path) -> str | None:
    """Return the version ("3.12") of an environment with pip; None if there is no working one."""
    check = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", check], check=False, capture_output=True, text=True, timeout=_CHECK_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def make(directory: Path, log: SetupLog) -> None:
    """Create the environment, replacing an existing one."""
    if _run(log, sys.executable, "-m", "venv", "--clear", "--without-pip", str(directory)) != 0:
        raise log.failure(f"{sys.executable} cannot make a virtual environment. {_INSTALL}")
    python = directory / "bin" / "python"
    # Like `venv`, but with its output: venv hides the reason of a failure.
    if _run(log, str(python), "-Im", "ensurepip", "--upgrade", "--default-pip") != 0:
        _fetch_pip(python, log)


def _fetch_pip(python: Path, log: SetupLog) -> None:
    if log.cause():
        raise log.failure("")
    print("      this Python lacks `ensurepip`: fetching pip as a package", flush=True)
    try:
        _add_pip(python)
    except (StackError, OSError, subprocess.SubprocessError) as error:
        raise SetupError(
            f"This Python lacks `ensurepip`, and with it pip. {_INSTALL}", f"Nor can pip be fetched: {error}"
        ) from error


def _run(log: SetupLog, *command: str) -> int:
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )
    log.write(done.stdout)
    return done.returncode


def _add_pip(python: Path) -> None:
    cache = cache_directory()
    with locked(cache):
        if not list((cache / "pip").glob("usr/share/python-wheels/pip-*.whl")):
            with filled(cache / "pip") as prefix:
                apt = PrivateApt(cache / "apt")
                apt.update()
                apt.extract(["python3-pip-whl"], prefix)
    wheel = next((cache / "pip").glob("usr/share/python-wheels/pip-*.whl"), None)
    if wheel is None:
        raise StackError("the distribution's package python3-pip-whl contains no pip")
    subprocess.run(
        [python, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)], check=True, timeout=_SECONDS
    )
