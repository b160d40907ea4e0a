"""`make setup`: the virtual environment, the locked packages, the `holdfast` command, the servers.

Guarantee: every package is the one whose hash the lock has; nothing outside `.venv` and the private folder of servers
is changed; a second run does only what has changed. A failure gives its cause in the first line, and
`.holdfast-setup.log` has the whole output. (Standard library only: it runs before anything is installed.)
"""

import argparse
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from infrastructure.local import locked_packages, virtualenv
from infrastructure.local.errors import StackError
from infrastructure.local.setup_errors import SetupError, SetupLog, cause_of

_ROOT = Path(__file__).resolve().parents[2]
_VENV = _ROOT / ".venv"
_PYTHON = _VENV / "bin" / "python"
_STAMP = _VENV / "holdfast-setup.json"
_LOG = _ROOT / ".holdfast-setup.log"
# The first line is for a shell, because a path in `#!` must be short and without spaces; for Python it is a string.
_COMMAND = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from holdfast.cli import main

sys.exit(main())
"""


def main() -> int:
    """Set everything up; exit code 1, with the cause and the fix, if something is not available."""
    options = _options()
    try:
        _set_up("dev" if options.tests else "runtime")
    except (StackError, OSError, subprocess.SubprocessError) as error:
        known = (
            error if isinstance(error, StackError) else SetupError(cause_of(str(error)) or "Set-up failed.", str(error))
        )
        print(f"\n{known}", file=sys.stderr)
        return 1
    return 0 if options.without_servers else _find_servers("--browser" if options.tests else "")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="setup.sh", description="Make .venv, and fetch the servers this machine lacks."
    )
    parser.add_argument("--tests", action="store_true", help="install the packages of tests and checks as well")
    parser.add_argument("--without-servers", action="store_true", help="install only .venv")
    return parser.parse_args()


def _set_up(requested: str) -> None:
    done = _done()
    # Existing packages are never removed: `make demo` after `make test` keeps the tests' packages.
    chosen = "dev" if done.get("packages") == "dev" else requested
    expected = _expected_state(chosen, done)
    if done == expected:
        return
    log = SetupLog(_LOG)
    if done.get("python") != expected["python"]:
        _report("[1/3] Making the virtual environment .venv")
        virtualenv.make(_VENV, log)
    _write_stamp({**expected, "packages": done.get("packages", "runtime"), "lock": "unfinished"})
    _report(f"[2/3] Installing the locked packages ({chosen})")
    locked_packages.install(_PYTHON, _lock(chosen), log)
    _install_command(expected["python"])
    _write_stamp(expected)


def _find_servers(also: str) -> int:
    """Find the servers (and those in `also`) and download missing ones, with the Python of .venv."""
    _report("[3/3] Looking for the servers")
    command = [str(_PYTHON), "-m", "infrastructure.local.fetch", *filter(None, [also])]
    done = subprocess.run(command, check=False, cwd=_ROOT, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        SetupLog(_LOG).write(done.stderr)
        print(f"\n{done.stderr}", end="", file=sys.stderr)
    return done.returncode


def _expected_state(packages: str, done: dict[str, str]) -> dict[str, str]:
    """Return the inputs of a finished set-up, including its path, because a virtual environment cannot be moved."""
    running = ".".join(map(str, sys.version_info[:2]))
    return {
        "place": str(_ROOT),
        # Keep the Python of the last set-up unless one is chosen: tox, for example, runs in this environment.
        "python": running if os.environ.get("PYTHON") else done.get("python", running),
        "packages": packages,
        "lock": sha256(_lock(packages).read_bytes()).hexdigest(),
    }


def _done() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(_STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_usable = found.get("place") == str(_ROOT) and found.get("python") == virtualenv.version_of(_PYTHON)
    return found if is_usable else {}


def _write_stamp(state: dict[str, str]) -> None:
    _STAMP.write_text(json.dumps(state), encoding="utf-8")


def _lock(packages: str) -> Path:
    return _ROOT / "requirements" / f"{packages}.txt"


def _install_command(python_version: str) -> None:
    """Install `holdfast` in .venv, with this folder on its path: like an editable installation, without a build."""
    site = _VENV / "lib" / f"python{python_version}" / "site-packages"
    (site / "holdfast.pth").write_text(f"{_ROOT}\n", encoding="utf-8")
    command = _VENV / "bin" / "holdfast"
    command.write_text(_COMMAND.format(python=_PYTHON), encoding="utf-8")
    command.chmod(0o755)


def _report(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
