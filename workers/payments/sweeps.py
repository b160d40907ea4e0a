"""Payments' periodic work: each sweep runs one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.resilience.sweeps import Sweep
from common.storage import pruning
from services.payments import usecases

if TYPE_CHECKING:
    from common.resilience.sweeps import SweepContext
    from services.payments.resources import Resources

IDLE_SECONDS = 60.0  # longer than a refund's lease, and than any call to the provider
QUIET_SECONDS = 600.0  # longer than an order is usually open
AT_ONCE = 50


def settle(resources: Resources, context: SweepContext) -> int:
    return usecases.settle_unsettled(
        resources, idle_seconds=IDLE_SECONDS, limit=AT_ONCE, should_continue=context.should_continue
    )


def ask_about_overdue(resources: Resources, context: SweepContext) -> int:
    """Skipped while sagas are held up: then overdue payments are normal."""
    if context.held_up() is not None:
        return 0
    return usecases.ask_about_overdue(resources.engine, quiet_seconds=QUIET_SECONDS, limit=AT_ONCE)


SWEEPS = (
    Sweep("settle", 5.0, settle, reconciles=True),
    Sweep("ask-about-overdue", 15.0, ask_about_overdue, reconciles=True),
    Sweep("prune-inbox", 600.0, pruning.sweep_inbox),
    Sweep("prune-replies", 600.0, pruning.sweep_replies),
)
