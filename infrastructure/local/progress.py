"""Progress of a starting or stopping stack, reported step by step."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step: started, succeeded, or a note. `str(step)` is for a plain log."""

    name: str
    state: str  # starting | ready | stopping | stopped | failed | note
    detail: str = ""

    def __str__(self) -> str:
        if self.state == "note":
            return self.detail
        return f"{self.name}: {self.state}{f' ({self.detail})' if self.detail else ''}"


Progress = Callable[[Step], None]


def note(progress: Progress, text: str) -> None:
    """Report a note that is not about a single process."""
    progress(Step("", "note", text))


def silent(_step: Step) -> None:
    """Report nothing."""
