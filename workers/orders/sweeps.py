"""Orders' periodic work: each sweep runs one use case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.resilience.sweeps import Sweep
from common.storage import pruning
from services.orders import timeouts

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.resilience.sweeps import SweepContext

TIMEOUTS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Resources:
    engine: Engine
    timeout_seconds: float


def time_out(resources: Resources, context: SweepContext) -> int:
    """One tick of the clock; while it is stopped, no order is timed out."""
    held_up = context.held_up() is not None
    reading = timeouts.tick(resources.engine, is_stopped=held_up)
    if held_up:
        return 0
    return timeouts.cancel_overdue_orders(
        resources.engine,
        reading=reading,
        bound_seconds=resources.timeout_seconds,
        limit=TIMEOUTS_AT_ONCE,
        should_continue=context.should_continue,
    )


SWEEPS = (
    Sweep("time-outs", 1.0, time_out),
    Sweep("prune-inbox", 600.0, pruning.sweep_inbox),
    Sweep("prune-replies", 600.0, pruning.sweep_replies),
)
