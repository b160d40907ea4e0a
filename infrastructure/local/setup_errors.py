"""The causes of a failed set-up, and their fixes.

Guarantee: the first line of a SetupError is the cause and the fix; the tools' output follows. An unknown cause is never
guessed. (Standard library only: it runs before anything is installed.)
"""

import re
from collections import deque
from contextlib import suppress
from pathlib import Path

from infrastructure.local.errors import StackError

_KEPT_LINES = 20


class SetupError(StackError):
    """Set-up failed."""

    def __init__(self, cause: str, details: str = "") -> None:
        super().__init__(f"{cause}\n{details}".rstrip())


class SetupLog:
    """A log file of the tools' output. If it cannot be written, set-up continues without it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        with suppress(OSError):
            path.write_text("", encoding="utf-8")

    def write(self, text: str) -> None:
        self._last.extend(text.splitlines())
        with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{text.rstrip()}\n")

    def cause(self) -> str | None:
        """Return the cause found in the last lines, if known."""
        return cause_of("\n".join(self._last))

    def failure(self, otherwise: str) -> SetupError:
        """Return the error with the cause found in the last lines; `otherwise` if it is unknown."""
        end = "\n".join(f"  {line}" for line in self._last) or "  (nothing was printed)"
        where = self._path if self._path.exists() else "what was printed"
        return SetupError(self.cause() or otherwise, f"The end of {where}:\n{end}")


def cause_of(text: str) -> str | None:
    """Return the cause found in a tool's output, and the fix; None if it is unknown."""
    return next((advice for pattern, advice in _CAUSES.items() if re.search(pattern, text)), None)


_AGAIN = "and try again."
_INDEX = "`pip config list` shows which index is used"
_REFUSED = r"40[13] Client Error|407 Proxy Authentication|User for "
_UNREACHABLE = (
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|Max retries exceeded|Connection (refused|reset|broken)"
    r"|Temporary failure|Name or service not known|Could not (resolve|connect)|Network is unreachable|Failed to fetch"
)
# The first matching pattern decides. pip warns of each failing connection, and may recover; after the last one
# it prints "No matching distribution (from versions: none)". So certain causes come before network errors.
_CAUSES = {
    r"No space left on device|Disk quota exceeded": (
        f"The disk is full. Free some space (.venv needs up to 600 MB; TMPDIR and pip's cache are used too) {_AGAIN}"
    ),
    r"DO NOT MATCH THE HASHES": (
        "A downloaded package is not the one in the lock, and was not installed: the index or a proxy serves another "
        f"file. {_INDEX}; after a broken download, `pip cache purge` {_AGAIN}"
    ),
    r"must have their versions pinned|Hashes are required in --require-hashes mode": (
        "The lock is incomplete. Regenerate it: make lock"
    ),
    r"\(from versions: (?!none)": (
        f"The package index lacks a locked version for this Python and processor. Use a complete index ({_INDEX}), "
        "or another Python: make setup PYTHON=python3.12"
    ),
    r"Read-only file system|Permission ?[Dd]enied|Operation not permitted": (
        "This user may not write to a place that set-up writes to, named below. Make it writable, or clone to a "
        "folder of your own. Root is not needed."
    ),
    r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError": (
        f"The certificate of the package index is not trusted. Name your certificates with PIP_CERT {_AGAIN}"
    ),
    _REFUSED: (
        "The package index or a proxy refuses this user. Correct the credentials in pip's configuration "
        f"(`pip config list`) or in HTTPS_PROXY {_AGAIN}"
    ),
    _UNREACHABLE: (
        "A package index cannot be reached. Check the network, the proxy (HTTPS_PROXY) and the address "
        f"({_INDEX}) {_AGAIN}"
    ),
    r"No matching distribution found": (
        "A package index cannot be reached, or lacks a locked package altogether. Check the network, the proxy "
        f"(HTTPS_PROXY) and the address ({_INDEX}) {_AGAIN}"
    ),
}
