"""What happens while a stack goes up or down, told step by step to whoever asked."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that began, ended well, or is worth a line. `str(step)` is for a plain log."""

    name: str
    state: str  # starting | ready | stopping | stopped | failed | note
    detail: str = ""

    def __str__(self) -> str:
        if self.state == "note":
            return self.detail
        return f"{self.name}: {self.state}{f' ({self.detail})' if self.detail else ''}"


Progress = Callable[[Step], None]


def note(progress: Progress, text: str) -> None:
    """Say something that is about no single process."""
    progress(Step("", "note", text))


def silent(_step: Step) -> None:
    """Say nothing."""
