"""The result of an action, and waiting for a condition."""

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
# Errors of a failing system: retried until the time-out.
TROUBLE = (OSError, requests.RequestException, ApiError, StackError, KeyError)


def result(evidence: str, took_effect: bool | None = None) -> dict[str, Any]:
    """The result of an action, for the journal and the history."""
    return {"took_effect": took_effect, "evidence": evidence}


def wait_until(condition: Callable[[], bool], seconds: float, what: str, pause_seconds: float = PAUSE_SECONDS) -> float:
    """Poll until the condition holds; returns after how many seconds. Raises `TimeoutError`."""
    started = time.monotonic()
    while True:
        with suppress(*TROUBLE):
            if condition():
                return time.monotonic() - started
        if time.monotonic() - started > seconds:
            message = f"{what}: not within {seconds:.0f} s"
            raise TimeoutError(message)
        time.sleep(pause_seconds)
