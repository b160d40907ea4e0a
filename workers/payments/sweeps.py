"""What payments does by itself, now and then: each sweep runs one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import pruning
from common.sweeps import Sweep

if TYPE_CHECKING:
    from common.sweeps import Turn
    from services.payments.resources import Resources


def prune_inbox(resources: Resources, turn: Turn) -> int:
    return pruning.prune_inbox(resources.engine, turn.goes_on)


def prune_replies(resources: Resources, turn: Turn) -> int:
    return pruning.prune_replies(resources.engine, turn.goes_on)


SWEEPS = (
    Sweep("prune-inbox", 600.0, prune_inbox),
    Sweep("prune-replies", 600.0, prune_replies),
)
