"""Errors of a native stack, with texts that say what to do."""

from pathlib import Path

_TAIL_BYTES = 262_144


class StackError(Exception):
    """The stack cannot execute the request. The text is for the user of the terminal."""


class MissingServerError(StackError):
    """A server is neither installed nor downloadable; the text says how to install it."""


class NotReadyError(StackError):
    """A process was not ready within its time."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        self.name = name
        self.log = log
        super().__init__(f"{name} is not ready: {reason}\nThe end of {log}:\n{last_lines(log)}")


def last_lines(path: Path, count: int = 20, indent: str = "  ") -> str:
    """Return the last lines of a file that may be large, absent or being written."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return f"{indent}(there is no such file: it wrote nothing)"
    return "\n".join(f"{indent}{line}" for line in lines[max(0, len(lines) - count) :]) or f"{indent}(empty)"
