"""Users' periodic work. It consumes no events, so there is no inbox to prune."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.resilience.sweeps import Sweep
from common.storage import pruning
from services.users import usecases

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.resilience.sweeps import SweepContext

PRUNE_SIGN_INS_SECONDS = 600.0


def prune_sign_ins(engine: Engine, context: SweepContext) -> int:
    """Delete expired rows, one batch at a time."""
    pruned = 0
    while context.should_continue() and (batch := usecases.prune_sign_ins(engine)):
        pruned += batch
    return pruned


SWEEPS = (
    Sweep("prune-replies", 600.0, pruning.sweep_replies),
    Sweep("prune-sign-ins", PRUNE_SIGN_INS_SECONDS, prune_sign_ins),
)
