"""Evaluates Chaos Toolkit's journal strictly.

Its exit code is also 0 if the baseline was broken before, if the fault could not be injected, and after a signal. A
pass is: steady before, every activity done (a process with exit code 0), steady after, every rollback done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def complaints(journal: dict[str, Any]) -> list[str]:
    """The reasons why the experiment did not pass; empty for a pass."""
    return list(_complaints(journal))


def evidence(journal: dict[str, Any], *, is_pair: bool = False) -> tuple[bool | None, str]:
    """Whether the fault took effect according to the actions (None: unknown), and their evidence.

    For a pair one is enough: for example without connections no session waits for a lock.
    """
    outputs = [run.get("output") for run in journal.get("run") or ()]
    reported = [output for output in outputs if isinstance(output, dict) and "evidence" in output]
    found = {output.get("took_effect") for output in reported} - {None}
    took_effect = None if not found else True in found if is_pair else False not in found
    return took_effect, "; ".join(str(output["evidence"]) for output in reported)


def was_interrupted(journal: dict[str, Any]) -> bool:
    """Whether it was interrupted: then the next must not start.

    (`chaos run` treats a SIGTERM in a Python activity as a failed activity, and continues.)
    """
    if journal.get("status") in ("interrupted", "aborted"):
        return True
    states = (journal.get("steady_states") or {}).values()
    probes = [probe for state in states if state for probe in state.get("probes") or ()]
    runs = [*probes, *(journal.get("run") or ()), *(journal.get("rollbacks") or ())]
    return any("InterruptExecution" in str(run.get("exception")) for run in runs)


def _complaints(journal: dict[str, Any]) -> Iterator[str]:
    if journal.get("status") != "completed":
        yield f"it ended as {journal.get('status', 'nothing')}"
    elif was_interrupted(journal):
        yield "it was interrupted"
    states = journal.get("steady_states") or {}
    if not (states.get("before") or {}).get("steady_state_met"):
        yield "the system was not in its steady state before"
    runs = journal.get("run") or []
    if not runs:
        yield "nothing was done"
    yield from _failed(runs, "failed")
    if not (states.get("after") or {}).get("steady_state_met"):
        yield "the system was not in its steady state afterwards"
    if journal.get("deviated"):
        yield "the steady state deviated"
    yield from _failed(journal.get("rollbacks") or [], "could not be rolled back")


def _failed(runs: Iterable[dict[str, Any]], what: str) -> Iterator[str]:
    for run in runs:
        output, provider = run.get("output"), run["activity"].get("provider", {})
        status = output.get("status") if provider.get("type") == "process" and isinstance(output, dict) else 0
        if run.get("status") != "succeeded" or status != 0:
            yield f"{run['activity'].get('name', 'an activity')} {what}: {_why(run, status)}"


def _why(run: dict[str, Any], status: Any) -> str:
    if run.get("exception"):
        return str(run["exception"][-1]).strip().rpartition("ActivityFailed: ")[2][:500]
    return f"exit code {status}" if status else f"{run.get('status', 'it never ended')}"
