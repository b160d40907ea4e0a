"""The private folder that servers are fetched into: nothing is installed on the system.

Guarantee: what lies under a finished name is complete, because it is filled under another name and
then renamed; two fetches at once do not meet, because each takes the folder's lock.
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
    """Return the folder, made if need be: HOLDFAST_CACHE, else the user's cache, else the system's for root."""
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
    """Hold the folder's lock. (Waits as long as another fetch takes; that one is bounded.)"""
    with open_lock(directory / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def filled(target: Path) -> Iterator[Path]:
    """Give an empty directory to fill; it takes the target's name if all went well, else it goes."""
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    staging.chmod(0o755)
    try:
        yield staging
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
