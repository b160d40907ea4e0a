"""The packages of a lock, installed with pip.

Guarantee: afterwards the environment holds exactly the lock's packages, each the file whose hash the lock has, and pip
itself; all their requirements are among them. Nothing is resolved, so later releases have no effect. (pip, and not a
faster installer, because users configure private indexes, proxies and certificates for pip: docs/decisions/0016.
Standard library only: it runs before anything is installed.)
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from infrastructure.local.setup_errors import SetupLog

_SHOWN_EVERY = 15
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
_SECONDS = 300


def install(python: Path, lock: Path, log: SetupLog) -> None:
    """Install exactly the packages of the lock; SetupError on failure."""
    names = locked_names(lock)
    _install(python, lock, len(names), log)
    _remove_others(python, names, log)
    if _run(python, log, "check") != 0:
        raise log.failure("The lock is inconsistent: a package lacks a dependency (below). Regenerate it: make lock")


def locked_names(lock: Path) -> set[str]:
    """Return the names of the lock's packages, ignoring markers."""
    return {
        _canonical(line.partition("==")[0]) for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line
    }


def _install(python: Path, lock: Path, expected: int, log: SetupLog) -> None:
    command = [str(python), *_PIP, "install", "--no-deps", "--require-hashes", "--progress-bar", "off", "-r", str(lock)]
    seen = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            log.write(line)
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                _show(f"{seen:3}/{expected} {_name(line)}", seen % _SHOWN_EVERY == 0)
            elif line.startswith("Installing collected"):
                _show("unpacking them", True)
    _clear()
    if pip.returncode != 0:
        raise log.failure("pip could not install the locked packages; its last lines say why.")


def _remove_others(python: Path, names: set[str], log: SetupLog) -> None:
    """Remove packages of an older lock, `ensurepip` or a user: they would hide a missing package of the lock."""
    listed = subprocess.run(
        [python, *_PIP, "list", "--format=json"], check=True, capture_output=True, text=True, timeout=_SECONDS
    )
    others = {_canonical(package["name"]) for package in json.loads(listed.stdout)} - names - {"pip"}
    if others and _run(python, log, "uninstall", "--yes", *sorted(others)) != 0:
        raise log.failure("pip could not remove packages that are not in the lock; its last lines say why.")


def _run(python: Path, log: SetupLog, *arguments: str) -> int:
    done = subprocess.run(
        [python, *_PIP, *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
    )
    log.write(done.stdout)
    return done.returncode


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _name(line: str) -> str:
    return line.removeprefix("Collecting ").removeprefix("Requirement already satisfied: ").split()[0]


def _show(text: str, moment: bool) -> None:
    if sys.stdout.isatty():
        sys.stdout.write(f"\r      {text[:60]:60}")
        sys.stdout.flush()
    elif moment:
        print(f"      {text}", flush=True)


def _clear() -> None:
    if sys.stdout.isatty():
        sys.stdout.write("\r" + " " * 70 + "\r")
        sys.stdout.flush()
