"""Harmless activities for experiments."""

import os
import signal
from typing import Any

ANSWERS: list[bool] = []


def is_steady() -> bool:
    return True


def next_answer() -> bool:
    return ANSWERS.pop(0)


def do(took_effect: bool | None = None) -> dict[str, Any]:
    return {"took_effect": took_effect, "evidence": "done"}


def fail() -> None:
    raise OSError("it could not be broken")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
