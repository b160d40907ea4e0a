"""The table of single faults: what each came to, how soon orders went through again, and how many went through."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chaos_tests.runners import beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chaos_tests.runners.campaign import Result
    from chaos_tests.runners.experiments import Experiment

BEFORE_SECONDS = 10.0
WORST = ("invalid", "failed", "unknown", "valid")


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    title: str
    target: str
    state: str
    why: str
    seconds: float | None = None
    recovery_seconds: float | None = None
    before: float | None = None
    during: float | None = None
    accepted: int = 0


def row(experiment: Experiment, result: Result) -> Row:
    """One experiment that ran alone."""
    outcome = result.outcomes[0]
    if outcome.not_run:
        return Row(experiment.name, experiment.title, outcome.target, "not run", outcome.not_run)
    why = "; ".join([*outcome.complaints, *_broken(result.verdict)]) or outcome.evidence
    fault = next(iter(result.verdict.get("faults", ())), None)
    accepted = result.verdict.get("counts", {}).get("accepted", 0)
    if fault is None:
        return Row(experiment.name, experiment.title, outcome.target, result.state, why, accepted=accepted)
    seconds = max(fault["ended"] - fault["began"], 0.001)
    before = fault["accepted_before"] / min(BEFORE_SECONDS, max(fault["began"], 0.001))
    during = fault["accepted_during"] / seconds
    recovery = fault["recovery_seconds"]
    return Row(
        experiment.name,
        experiment.title,
        fault["target"],
        result.state,
        why,
        seconds,
        recovery,
        before,
        during,
        accepted,
    )


def worst(rows: Sequence[Row]) -> str:
    """The worst state among those that ran; "not run" if none did."""
    states = {row.state for row in rows}
    return next((state for state in WORST if state in states), "not run")


def write(rows: Sequence[Row], path: Path, seed: int) -> None:
    states = [row.state for row in rows]
    lines = [
        "# Each fault alone",
        "",
        f"Written by `holdfast chaos run --all --seed {seed} --table docs/{path.name}`, {time.strftime('%Y-%m-%d')},",
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}. Each experiment had a",
        "workload, a history and a verdict of its own. *Valid*: every promise held, the fault took effect, and orders",
        "went through before and after. *Not run* is no success: it names what is missing on that machine.",
        "Recovery: seconds from healing until an order was confirmed. Before and during: orders accepted a second, in",
        "the ten seconds before the fault and while it lasted.",
        "",
        f"{states.count('valid')} of {len(rows)} valid, {states.count('not run')} not run.",
        "",
        *beside.told(path.parent),
        "",
        "| experiment | strikes | verdict | lasted | recovery | before | during | orders | seen |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(each) for each in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _broken(verdict: dict[str, Any]) -> list[str]:
    parts = [*verdict.get("promises", ()), *verdict.get("conditions", ())]
    return [
        f"{part.get('promise') or part['name']}: {part.get('text') or part['checked']}"
        for part in parts
        if part["verdict"] in ("invalid", "unknown")
    ]


def _line(each: Row) -> str:
    verdict = each.state if each.state == "valid" else f"**{each.state}**"
    why = each.why if len(each.why) <= 200 else f"{each.why[:200]} ..."
    cells = [
        f"`{each.name}`: {each.title}", each.target, verdict, _number(each.seconds, " s"),
        _number(each.recovery_seconds, " s"), _number(each.before), _number(each.during), f"{each.accepted:,}", why,
    ]  # fmt: skip
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"


def _number(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:.1f}{unit}"
