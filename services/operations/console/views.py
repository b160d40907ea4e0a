"""All pages of the console: importing this module adds them to the blueprint."""

from __future__ import annotations

from services.operations.console import (
    break_it,
    cases,
    dead_letters,
    now,
    orders,
    people,
    promises,
    sign_in,
    try_it,
    webhooks,
)
from services.operations.console.blueprint import register

__all__ = [
    "break_it",
    "cases",
    "dead_letters",
    "now",
    "orders",
    "people",
    "promises",
    "register",
    "sign_in",
    "try_it",
    "webhooks",
]
