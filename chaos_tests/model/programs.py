"""Spin and a C compiler: the system's own, or Spin from the distribution's package in the private folder.

Guarantee: the returned programs were run once. A compiler is not downloaded: without one, `MissingToolError` says so,
and nothing counts as checked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infrastructure.local.cache import cache_directory, filled, locked
from infrastructure.local.debs import PrivateApt
from infrastructure.local.errors import StackError

_CHECK_SECONDS = 30


class MissingToolError(Exception):
    """No model can be checked on this machine, and why."""


@dataclass(frozen=True, slots=True)
class Programs:
    spin: Path
    compiler: Path
    spin_version: str


def ensure_programs() -> Programs:
    """Spin, downloaded if it is missing, and a compiler. Raises `MissingToolError`."""
    compiler = _compiler()
    spin = _spin()
    return Programs(spin, compiler, _answer(spin, "-V"))


def _compiler() -> Path:
    for name in ("gcc", "cc", "clang"):
        if (found := shutil.which(name)) and _answer(Path(found), "--version"):
            return Path(found)
    raise MissingToolError("there is no C compiler, which Spin needs (Debian, Ubuntu: sudo apt-get install gcc)")


def _spin() -> Path:
    if (found := shutil.which("spin")) and "Spin Version" in _answer(Path(found), "-V"):
        return Path(found)
    cache = cache_directory()
    private = cache / "spin" / "usr/bin/spin"
    if not private.exists():
        with locked(cache):
            if not private.exists():
                _fetch(cache)
    if "Spin Version" not in _answer(private, "-V"):
        message = f"{private} does not run here"
        raise MissingToolError(message)
    return private


def _fetch(cache: Path) -> None:
    try:
        apt = PrivateApt(cache / "apt")
        apt.update()
        with filled(cache / "spin") as prefix:
            apt.extract(apt.missing(("spin",)), prefix)
    except (StackError, OSError, subprocess.SubprocessError) as error:
        message = f"Spin cannot be had: {error} (Debian, Ubuntu: sudo apt-get install spin)"
        raise MissingToolError(message) from error


def _answer(program: Path, word: str) -> str:
    """The program's first line of output for the argument `word`; empty if it does not run."""
    try:
        done = subprocess.run([program, word], check=False, capture_output=True, text=True, timeout=_CHECK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    line = (done.stdout or done.stderr).partition("\n")[0].strip()
    return re.sub(r"\s+", " ", line) if done.returncode == 0 else ""
