"""The table of single faults: verdict, recovery time and throughput of each.

The rows are also stored as JSON: an experiment that runs again replaces only its own row. One that ran on processes and
on containers has a row for each.
"""

from __future__ import annotations

import json
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from chaos_tests.runners import summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from chaos_tests.runners.campaign import Result
    from chaos_tests.runners.experiments import Experiment

BEFORE_SECONDS = 10.0
NOT_RUN = "not run"
WHERE = {"local": "processes", "compose": "containers"}
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
    driver: str = "local"


def row(experiment: Experiment, result: Result, driver: str = "local") -> Row:
    """One experiment that ran alone, on the system that the driver runs."""
    outcome = result.outcomes[0]
    of = partial(Row, experiment.name, experiment.title, driver=driver)
    if outcome.not_run:
        return of(outcome.target, NOT_RUN, outcome.not_run)
    why = "; ".join([*outcome.complaints, *_broken(result.verdict)]) or outcome.evidence
    fault = next(iter(result.verdict.get("faults", ())), None)
    accepted = result.verdict.get("counts", {}).get("accepted", 0)
    if fault is None:
        return of(outcome.target, result.state, why, accepted=accepted)
    seconds = max(fault["ended"] - fault["began"], 0.001)
    return of(
        fault["target"],
        result.state,
        why,
        seconds=seconds,
        recovery_seconds=fault["recovery_seconds"],
        before=fault["accepted_before"] / min(BEFORE_SECONDS, max(fault["began"], 0.001)),
        during=fault["accepted_during"] / seconds,
        accepted=accepted,
    )


def worst(rows: Sequence[Row]) -> str:
    """The worst state among those that ran; "not run" if none did."""
    states = {row.state for row in rows}
    return next((state for state in WORST if state in states), NOT_RUN)


def read(path: Path) -> list[Row]:
    """The rows of an existing page; none if there is no page."""
    with suppress(OSError):
        return [Row(**known) for known in json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))]
    return []


def merged(known: Sequence[Row], fresh: Sequence[Row]) -> list[Row]:
    """Each experiment's newest row with each driver, by name.

    An experiment that ran with one driver has no row "not run" for another.
    """
    newest = {(each.name, each.driver): each for each in (*known, *fresh)}
    ran = {each.name for each in newest.values() if each.state != NOT_RUN}
    kept = [each for each in newest.values() if each.state != NOT_RUN or each.name not in ran]
    return sorted(kept, key=lambda each: (each.name, each.driver != "local"))


def write(rows: Sequence[Row], path: Path, known: Iterable[str] = ()) -> None:
    """Write the page and its rows. It names the `known` experiments without a row."""
    lacking = sorted(set(known).difference(each.name for each in rows))
    dates = sorted({row.date for row in rows})
    days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    lines = [
        "# Each fault alone",
        "",
        f"Written by `holdfast chaos run --all --table docs/{path.name}` (`run NAME --table ...` replaces one row),",
        f"{days}, {platform.system()} {platform.machine()}, Python {platform.python_version()}.",
        "Each experiment had its own workload, history and verdict. *Valid*: every promise held, the fault",
        "took effect, and orders went through before and after. *Not run* is not a success: the row has the reason.",
        "Recovery: seconds from the end of the fault until an order was confirmed. Before and during: orders accepted",
        "a second, in the ten seconds before the fault and during it.",
        "",
        *_counted(rows),
        *([f"Not in this table yet: {', '.join(lacking)}."] if lacking else []),
        "",
        *summary.of_other_suites(path.parent),
        "",
        "| experiment | target | on | verdict | duration | recovery | before | during | orders | evidence |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(each) for each in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def _counted(rows: Sequence[Row]) -> list[str]:
    lines, unrun = [], sum(each.state == NOT_RUN for each in rows)
    for driver, where in WHERE.items():
        states = [each.state for each in rows if each.driver == driver and each.state != NOT_RUN]
        if states:
            lines.append(f"{where.capitalize()} (`--driver {driver}`): {states.count('valid')} of {len(states)} valid.")
    return [*lines, f"Not run: {unrun}."]


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
        f"`{each.name}`: {each.title}", each.target, WHERE[each.driver], verdict, _number(each.seconds, " s"),
        _number(each.recovery_seconds, " s"), _number(each.before), _number(each.during), f"{each.accepted:,}", why,
    ]  # fmt: skip
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"


def _number(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:.1f}{unit}"
