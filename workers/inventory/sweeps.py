"""Inventory's periodic work: each sweep runs one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.resilience.sweeps import Sweep
from common.storage import pruning
from services.inventory import usecases

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.resilience.sweeps import SweepContext

HELD_SECONDS = 600.0  # longer than an order is usually open
AT_ONCE = 50


def ask_about_overdue(engine: Engine, context: SweepContext) -> int:
    """Skipped while sagas are held up: then overdue reservations are normal."""
    if context.held_up() is not None:
        return 0
    return usecases.ask_about_overdue(engine, held_seconds=HELD_SECONDS, limit=AT_ONCE)


SWEEPS = (
    Sweep("ask-about-overdue", 15.0, ask_about_overdue, reconciles=True),
    Sweep("prune-inbox", 600.0, pruning.sweep_inbox),
    Sweep("prune-replies", 600.0, pruning.sweep_replies),
)
