"""Shows the steps of a starting or stopping stack.

On a terminal each finished step is a line, and the last line shows the current step. Otherwise (a log, a pipe) there is
one plain line per finished step.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from infrastructure.local.progress import Progress, Step

_SHOWN_AT_MOST = 4
_MARKS = {"ready": "[green]✓[/]", "stopped": "[green]✓[/]", "failed": "[red]✗[/]"}


@contextmanager
def shown_steps(verb: str) -> Iterator[Progress]:
    """Yield a function that shows each step. (It may be called from several threads.)"""
    console = Console(stderr=True, highlight=False)
    waiting: dict[str, None] = {}
    with console.status(verb) as status:

        def show(step: Step) -> None:
            if step.state in _MARKS:
                waiting.pop(step.name, None)
                detail = f" [dim]{step.detail}[/]" if step.detail else ""
                console.print(f"{_MARKS[step.state]} {step.name}{detail}")
            elif step.state == "note":
                console.print(step.detail, markup=False)
            else:
                waiting[step.name] = None
            status.update(f"{verb} {_listed(list(waiting))}")

        yield show


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN_AT_MOST])
    return f"{shown} and {len(names) - _SHOWN_AT_MOST} more" if len(names) > _SHOWN_AT_MOST else shown
