"""What an action answers, and waiting for what is to be seen."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import requests

from holdfast.client import ApiError
from infrastructure.local.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_SECONDS = 0.1
# What a system in trouble answers with: it is asked again until the time is up.
TROUBLE = (OSError, requests.RequestException, ApiError, StackError, KeyError)


def seen(evidence: str, bit: bool | None = None) -> dict[str, Any]:
    """The answer of an action; it ends up in the journal and in the history."""
    return {"bit": bit, "evidence": evidence}


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Ask until it holds; answers after how many seconds it did. Raises `TimeoutError`."""
    started = time.monotonic()
    while True:
        with suppress(*TROUBLE):
            if condition():
                return time.monotonic() - started
        if time.monotonic() - started > seconds:
            message = f"{what}: not within {seconds:.0f} s"
            raise TimeoutError(message)
        time.sleep(PAUSE_SECONDS)
