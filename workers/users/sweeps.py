"""What users does by itself, now and then. It hears no events, so there is no inbox to prune."""

from __future__ import annotations

from common.resilience.sweeps import Sweep
from common.storage import pruning

SWEEPS = (Sweep("prune-replies", 600.0, pruning.sweep_replies),)
