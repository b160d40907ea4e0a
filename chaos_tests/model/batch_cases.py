"""The checks of `batch.pml`, and its mutants, as tables."""

from __future__ import annotations

from chaos_tests.model.case import Case, Mutant
from chaos_tests.model.checking import Kind

_BATCH = {"EVENTS": 2, "WORKERS": 1, "CRASHES": 1, "CUTS": 1, "FAILURES": 1}
_RIVALS = {"EVENTS": 2, "WORKERS": 2, "CRASHES": 0, "CUTS": 0, "FAILURES": 0, "COPIES": 2}

BATCH_QUICK = (
    Case("batch", Kind.SAFETY, _BATCH | {"FAILURES": 2}),
    Case("batch", Kind.SAFETY, _BATCH | {"WORKERS": 2, "CUTS": 0}),
    Case("batch", Kind.SAFETY, _RIVALS | {"FAILURES": 1}),
)
BATCH_WIDE = (
    Case("batch", Kind.SAFETY, {"EVENTS": 2, "WORKERS": 2}),
    Case("batch", Kind.SAFETY, _BATCH | {"EVENTS": 3}),
)
BATCH_MUTANTS = (
    Mutant("batch", "ACKNOWLEDGE_BEFORE_COMMIT", "to acknowledge a batch after its commit", "kept", _BATCH),
    Mutant(
        "batch",
        "FAILURE_LEAVES_ITS_INBOX_ROW",
        "to roll back the inbox row of an event that fails",
        "kept",
        _BATCH,
    ),
    Mutant("batch", "FAILURE_TAKES_ITS_BATCH", "to handle alone each event of a batch that fails", "blame", _BATCH),
    Mutant("batch", "MULTIPLE_TOO_FAR", "to acknowledge together only below what is open", "kept", _BATCH),
    Mutant("batch", "ACKNOWLEDGE_ACROSS_A_RECONNECTION", "tags that are valid on one channel only", "kept", _BATCH),
    Mutant("batch", "UNSORTED_INBOX", "to insert inbox rows in one order", "quiet", _RIVALS),
)
