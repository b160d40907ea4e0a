"""Prometheus' own programs, the system's or from Debian's package in the private folder; nothing is installed.

Guarantee: a returned program was run once. The private one has no web pages (Debian's package expects them in a fixed
directory), but rules, queries and alerts work.
"""

import shutil
import subprocess
from pathlib import Path

from infrastructure.local.cache import cache_directory, filled, locked
from infrastructure.local.debs import PrivateApt
from infrastructure.local.errors import MissingServerError

PACKAGE = "prometheus"
_CHECK_SECONDS = 30


def find(name: str) -> Path:
    """Return `prometheus` or `promtool`, downloaded if it is missing; MissingServerError if it is not available."""
    cache = cache_directory()
    found = _located(name, cache)
    if found is None:
        with locked(cache):
            found = _located(name, cache) or _fetched(name, cache)
    return found


def _located(name: str, cache: Path) -> Path | None:
    for place in (shutil.which(name), cache / PACKAGE / "usr" / "bin" / name):
        if place is not None and _runs(Path(place)):
            return Path(place)
    return None


def _runs(program: Path) -> bool:
    try:
        answer = subprocess.run([str(program), "--version"], check=False, capture_output=True, timeout=_CHECK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _fetched(name: str, cache: Path) -> Path:
    apt = PrivateApt(cache / "apt")
    apt.update()
    with filled(cache / PACKAGE) as prefix:
        apt.extract([PACKAGE], prefix)
    found = _located(name, cache)
    if found is None:
        raise MissingServerError(f"{name} was fetched and does not run. By hand: sudo apt-get install {PACKAGE}")
    return found
