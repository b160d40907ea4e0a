"""A stack that a benchmark starts and deletes."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.local.stack import Stack
from infrastructure.local.startup import Extent
from infrastructure.local.termination import exit_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def throwaway_stack(
    home: str, port_base: int, extent: Extent = Extent.EVERYTHING, *, rabbitmq_nodes: int = 1
) -> Iterator[Stack]:
    """Start a new stack in `home`; SIGTERM ends it as well. Ends the program if something is there already."""
    exit_on_sigterm()
    if Path(home).exists():
        raise SystemExit(f"{home} is left from another run: end it (`holdfast down --home {home}`) and remove it")
    stack = Stack(home, port_base, rabbitmq_nodes)
    try:
        stack.up(extent)
        yield stack
    finally:
        stack.down()
        shutil.rmtree(home)
