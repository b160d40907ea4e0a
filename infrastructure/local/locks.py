"""Lock files: only their owner can open them, because any process that can open a file can lock it."""

import os
from pathlib import Path
from typing import IO

_MODE = 0o600


def open_lock(path: Path) -> IO[bytes]:
    """Open the lock file, created if needed; makes one of an earlier version private."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE), "r+b")
    os.fchmod(file.fileno(), _MODE)
    return file
