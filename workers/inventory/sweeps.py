"""What inventory does by itself, now and then: each sweep runs one use case."""

from __future__ import annotations

from common import pruning
from common.sweeps import Sweep

SWEEPS = (
    Sweep("prune-inbox", 600.0, pruning.sweep_inbox),
    Sweep("prune-replies", 600.0, pruning.sweep_replies),
)
