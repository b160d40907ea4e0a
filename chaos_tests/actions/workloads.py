"""Stops the workload of a run that died."""

from __future__ import annotations

import signal
from typing import Any

from chaos_tests.actions.evidence import result
from chaos_tests.runners.drivers.driver import driver_of
from chaos_tests.runners.process_tree import signal_all
from infrastructure.local import proctable


def end_workload(pid: int, start_ticks: int, configuration: dict[str, Any]) -> dict[str, Any]:
    """Stop it, if the process with this pid is still the same."""
    found = proctable.lookup(pid)
    is_there = found is not None and found.start_ticks == start_ticks
    if is_there:
        signal_all([pid], signal.SIGTERM)
    driver_of(configuration).journal.remove(end_workload, {"pid": pid, "start_ticks": start_ticks})
    return result(f"the workload {pid} {'was asked to end' if is_there else 'had ended'}")
