"""What users does by itself, now and then. It hears no events, so there is no inbox to prune."""

from __future__ import annotations

from common import pruning
from common.sweeps import Sweep

SWEEPS = (Sweep("prune-replies", 600.0, pruning.sweep_replies),)
