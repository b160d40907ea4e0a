"""The table of single faults: what each came to, how soon orders went through again, and how many went through.

The rows stand beside the page as JSON: an experiment that runs again replaces its own row, and leaves the others.
"""

from __future__ import annotations

import json
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from chaos_tests.runners import beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))


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


def read(path: Path) -> list[Row]:
    """The rows that a page was written from; none if there is no page."""
    with suppress(OSError):
        return [Row(**known) for known in json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))]
    return []


def merged(known: Sequence[Row], fresh: Sequence[Row]) -> list[Row]:
    """Each experiment's newest row, by name."""
    newest = {each.name: each for each in (*known, *fresh)}
    return [newest[name] for name in sorted(newest)]


def write(rows: Sequence[Row], path: Path, known: Iterable[str] = ()) -> None:
    """The page and its rows. Of the `known` experiments it names those that have none."""
    lacking = sorted(set(known).difference(each.name for each in rows))
    states = [row.state for row in rows]
    dates = sorted({row.date for row in rows})
    days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    lines = [
        "# Each fault alone",
        "",
        f"Written by `holdfast chaos run --all --table docs/{path.name}` (`run NAME --table ...` replaces one row),",
        f"{days}, {platform.system()} {platform.machine()}, Python {platform.python_version()}.",
        "Each experiment had a workload, a history and a verdict of its own. *Valid*: every promise held, the fault",
        "took effect, and orders went through before and after. *Not run* is no success: it names what is missing.",
        "Recovery: seconds from healing until an order was confirmed. Before and during: orders accepted a second, in",
        "the ten seconds before the fault and while it lasted.",
        "",
        f"{states.count('valid')} of {len(rows)} valid, {states.count('not run')} not run.",
        *([f"Not in this table yet: {', '.join(lacking)}."] if lacking else []),
        "",
        *beside.told(path.parent),
        "",
        "| experiment | strikes | verdict | lasted | recovery | before | during | orders | seen |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(each) for each in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


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
