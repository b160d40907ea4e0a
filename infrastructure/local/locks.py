"""Files that are locked: only their owner can open them, because whoever can open a file can take its lock."""

import os
from pathlib import Path
from typing import IO

_MODE = 0o600


def open_lock(path: Path) -> IO[bytes]:
    """Open the lock's file, made if need be; one that an earlier version left open to others is closed to them."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE), "r+b")
    os.fchmod(file.fileno(), _MODE)
    return file
