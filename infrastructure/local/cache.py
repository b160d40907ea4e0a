"""The private folder for downloaded servers: nothing is installed on the system.

Guarantee: a directory with its final name is complete, because it is filled under another name and then renamed; the
folder's lock serializes downloads.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infrastructure.local.accounts import can_reach, database_account
from infrastructure.local.locks import open_lock

_SYSTEM_CACHE = Path("/var/cache/holdfast")


def cache_directory() -> Path:
    """Return the folder, created if needed: HOLDFAST_CACHE, else the user's cache, else the system's for root."""
    chosen = os.environ.get("HOLDFAST_CACHE")
    directory = Path(chosen).absolute() if chosen else _default()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _default() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    directory = Path(base) / "holdfast"
    account = database_account()
    if account is not None and not can_reach(account, directory):
        return _SYSTEM_CACHE
    return directory


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the folder's lock. (Waits for another download, which has a time-out.)"""
    with open_lock(directory / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def filled(target: Path) -> Iterator[Path]:
    """Yield an empty directory to fill; on success it gets the target's name, else it is deleted."""
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    staging.chmod(0o755)
    try:
        yield staging
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
