"""How a process ends whose settings are bad, seen in this process: starting one for each setting takes a second."""

from __future__ import annotations

import os
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def started_with(start: Callable[[], object], environment: Mapping[str, str]) -> tuple[int | str | None, str]:
    """The exit code of `start` with this environment and no other, and what it printed. Code 0 if it did not exit."""
    printed = StringIO()
    code: int | str | None = 0
    with mock.patch.dict(os.environ, environment, clear=True), redirect_stderr(printed):
        try:
            start()
        except SystemExit as exit_:
            code = exit_.code
    return code, printed.getvalue()
