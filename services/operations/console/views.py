"""All pages of the console: importing this module adds them to the blueprint."""

from __future__ import annotations

from services.operations.console import (
    cases,
    dead_letters,
    fault_injection,
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
    "cases",
    "dead_letters",
    "fault_injection",
    "now",
    "orders",
    "people",
    "promises",
    "register",
    "sign_in",
    "try_it",
    "webhooks",
]
