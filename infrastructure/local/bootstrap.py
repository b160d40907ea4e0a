"""`make setup`: the virtual environment, the locked libraries, the `holdfast` command, the servers.

Guarantee: every library is the one whose hash the lock has; nothing outside `.venv` and the private
folder of servers is changed; doing it again does only what has changed. (Standard library only: it runs
before anything is installed.)
"""

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from infrastructure.local.cache import cache_directory, filled, locked
from infrastructure.local.debs import PrivateApt
from infrastructure.local.errors import StackError
from infrastructure.local.pip_progress import install

_ROOT = Path(__file__).resolve().parents[2]
_VENV = _ROOT / ".venv"
_PYTHON = _VENV / "bin" / "python"
_STAMP = _VENV / "holdfast-setup.json"
_LOCK = _ROOT / "requirements" / "dev.txt"
_VENV_SECONDS = 300


def main() -> int:
    """Set everything up; exit code 1, with what to do about it, if something cannot be had."""
    try:
        _set_up()
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)  # noqa: T201
        return 1
    return subprocess.run(  # noqa: S603
        [_PYTHON, "-m", "infrastructure.local.fetch"], check=False, cwd=_ROOT
    ).returncode


def _set_up() -> None:
    wanted = _wanted()
    done = _done()
    if done == wanted:
        return
    if not _works() or done.get("place", wanted["place"]) != wanted["place"]:
        _say("[1/4] Making the virtual environment .venv")
        _make_environment()
        done = {}
    if done.get("lock") != wanted["lock"]:
        _say("[2/4] Installing the locked libraries into it")
        install(_PYTHON, ["--require-hashes", "--requirement", str(_LOCK)], _locked_count())
    _say("[3/4] Installing the command `holdfast`")
    install(_PYTHON, ["--no-deps", "--no-build-isolation", "--editable", str(_ROOT)], 0)
    _STAMP.write_text(json.dumps(wanted), encoding="utf-8")
    _say("[4/4] Looking for the servers")


def _wanted() -> dict[str, str]:
    """Return what a finished set-up depends on. A virtual environment cannot be moved, hence the place."""
    return {
        "place": str(_ROOT),
        "python": ".".join(map(str, sys.version_info[:2])),
        "lock": sha256(_LOCK.read_bytes()).hexdigest(),
        "project": sha256((_ROOT / "pyproject.toml").read_bytes()).hexdigest(),
    }


def _done() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(_STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if _works() else {}


def _works() -> bool:
    """Whether there is an environment of this Python version with pip in it."""
    check = f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    try:
        return subprocess.run([_PYTHON, "-c", check], check=False, capture_output=True, timeout=60).returncode == 0  # noqa: S603
    except OSError:
        return False


def _make_environment() -> None:
    shutil.rmtree(_VENV, ignore_errors=True)
    answer = _venv()
    if answer.returncode == 0:
        return
    shutil.rmtree(_VENV, ignore_errors=True)
    bare = _venv("--without-pip")
    if bare.returncode != 0:
        raise StackError(f"{answer.stdout}{bare.stdout}{_ADVICE}")
    _say("      this Python lacks `ensurepip`: fetching pip as a package")
    try:
        _add_pip()
    except (StackError, OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(_VENV, ignore_errors=True)
        raise StackError(f"pip could not be had: {error}\n{_ADVICE}") from error


_ADVICE = (
    "This Python cannot make a virtual environment with pip in it.\n"
    f"Debian and Ubuntu:  sudo apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    "  (or python3-venv)"
)


def _venv(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "venv", *options, str(_VENV)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_VENV_SECONDS,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )


def _add_pip() -> None:
    cache = cache_directory()
    with locked(cache):
        if not list((cache / "pip").glob("usr/share/python-wheels/pip-*.whl")):
            with filled(cache / "pip") as prefix:
                apt = PrivateApt(cache / "apt")
                apt.update()
                apt.extract(["python3-pip-whl"], prefix)
    wheel = next((cache / "pip").glob("usr/share/python-wheels/pip-*.whl"), None)
    if wheel is None:
        raise StackError("the distribution's package python3-pip-whl holds no pip")
    subprocess.run(  # noqa: S603
        [_PYTHON, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)], check=True, timeout=_VENV_SECONDS
    )


def _locked_count() -> int:
    return sum("==" in line for line in _LOCK.read_text(encoding="utf-8").splitlines())


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
