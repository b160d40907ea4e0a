"""The page: verdict, history and facts of the run, as text and figures. One self-contained file."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chaos_tests.runners.report import figures
from chaos_tests.runners.report.figures import Drawn, Panel, Time, bands, clock, lanes, linear, logarithmic
from chaos_tests.runners.report.usage import is_small, usages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chaos_tests.runners.report.figures import Figure
    from chaos_tests.runners.report.series import Series

TEMPLATES = Path(__file__).parent / "templates"
FEW_FAULTS = 30
SAID = {
    "valid": ("Every promise was kept.", "kept"),
    "invalid": ("A promise was broken.", "broken"),
    "unknown": ("This run proves nothing yet.", "unknown"),
}
WORDS = {"valid": "kept", "invalid": "broken", "unknown": "unknown", "untried": "not tried"}
MET = {"valid": "yes", "invalid": "no", "unknown": "unknown", "untried": "does not apply"}
ENDS = {
    "confirmed": ("confirmed and paid", "good"),
    "payment_declined": ("card declined", "declined"),
    "out_of_stock": ("out of stock", "sold-out"),
    "customer_request": ("cancelled by the customer", "cancelled"),
    "timed_out": ("timed out", "late"),
}
ORDERS_NOTE = (
    "Orders accepted, and orders completed. After a fault the second line rises above the first, while the backlog is "
    "processed."
)
LATENCY_NOTE = "The response time of accepted orders."
TROUBLE_NOTE = "The effects of faults on customers. They repeated orders with the same key."
BACKLOG_NOTE = (
    "The backlog. It grows during an outage and is processed afterwards. Where a line has a gap, the value could "
    "not be read."
)
AGAIN_NOTE = (
    "A crash between effect and acknowledgement makes the broker redeliver. Each duplicate was detected and dropped."
)


def document(verdict: Mapping[str, Any], series: Series, meta: Mapping[str, Any]) -> dict[str, Any]:
    """All figures of the report as JSON."""
    return {"meta": dict(meta), "verdict": dict(verdict), "series": asdict(series)}


def render(verdict: Mapping[str, Any], series: Series, meta: Mapping[str, Any]) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    environment.filters["seconds"] = seconds
    time = Time(series.seconds, series.step_seconds)
    faults = verdict["faults"]
    headline, mark = SAID[verdict["verdict"]]
    if mark == "kept" and any(promise["verdict"] == "untried" for promise in verdict["promises"]):
        headline = "Every promise tried was kept."
    shown = drawn(time, series)
    return environment.get_template("report.html").render(
        style=(TEMPLATES / "style.css").read_text(),
        script=(TEMPLATES / "script.js").read_text(),
        headline=headline,
        mark=mark,
        summary=_summary(verdict, series),
        tiles=_tiles(verdict, series),
        verdict=verdict,
        words=WORDS,
        met=MET,
        ends=_ends(verdict["counts"]["orders"]),
        lanes=lanes(time, faults),
        bands=bands(time, faults),
        figures=shown,
        frame=figures,
        data=_data(shown, series, faults),
        memory=usages(series.memory, verdict["counts"]["accepted"]),
        storage=[row for row in usages(series.storage, verdict["counts"]["accepted"]) if not is_small(row)],
        by_kind=_by_kind(faults),
        few_faults=FEW_FAULTS,
        slowest=max((fault["recovery_seconds"] or 0.0 for fault in faults), default=0.0),
        meta=meta,
    )


def seconds(value: float | None) -> str:
    if value is None:
        return "never"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def drawn(time: Time, series: Series) -> list[Figure]:
    """Every figure on the time axis."""
    made = [
        linear(
            time,
            Panel("Orders", "orders per second", ORDERS_NOTE, 230),
            [
                Drawn("accepted", "accepted", series.accepted, "area"),
                Drawn("confirmed", "confirmed", series.confirmed),
            ],
        ),
        logarithmic(
            time,
            Panel("Time to accept an order", "each step is ten times as long", LATENCY_NOTE),
            [
                Drawn("99 of 100 within", "slowest", series.slowest_ms),
                Drawn("half within", "typical", series.typical_ms),
            ],
        ),
        linear(
            time,
            Panel("Requests without success", f"requests per {series.step_seconds:g} s", TROUBLE_NOTE, 150),
            [
                Drawn("no answer, or an error: in doubt", "unanswered", series.unanswered, "bars"),
                Drawn("refused", "refused", series.refused, "bars"),
            ],
        ),
        linear(
            time,
            Panel("Backlog", "messages", BACKLOG_NOTE),
            [
                Drawn("in the broker", "queued", series.queued, "area"),
                Drawn("waiting to be published", "outbox", series.outbox),
            ],
        ),
    ]
    if any(series.duplicates):
        panel = Panel("Messages delivered again", f"messages per {series.step_seconds:g} s", AGAIN_NOTE, 140)
        made.append(linear(time, panel, [Drawn("delivered again", "again", series.duplicates, "bars")]))
    return made


def _summary(verdict: Mapping[str, Any], series: Series) -> str:
    accepted, faults = verdict["counts"]["accepted"], verdict["faults"]
    return f"{accepted:,} orders were accepted in {_spoken(series.seconds)} {_faults_in_words(faults)}."


def _faults_in_words(faults: Sequence[Mapping[str, Any]]) -> str:
    if len(faults) < 2:
        return "during one fault" if faults else "without any fault"
    names = [fault["name"].split("+") for fault in faults]
    count, pairs = len({name for each in names for name in each}), any(len(each) > 1 for each in names)
    reported = f"during {len(faults)} faults from {count} {'experiments' if count > 1 else 'experiment'}"
    return f"{reported}, some two at once" if pairs else reported


def _spoken(length: float) -> str:
    """109 seconds are 1 min 49 s."""
    minutes, rest = divmod(round(length), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _tiles(verdict: Mapping[str, Any], series: Series) -> list[tuple[str, str, str]]:
    """The key figures: number, name, and a remark."""
    counts, faults = verdict["counts"], verdict["faults"]
    broken = sum(promise["broken"] for promise in verdict["promises"])
    ended = counts["orders"]
    open_orders = ended.get("pending", 0) + ended.get("reserved", 0)
    undone = sum(count for end, count in ended.items() if end not in {"confirmed", "pending", "reserved"})
    tiles = [
        (f"{counts['accepted']:,}", "orders accepted", f"{ended.get('confirmed', 0):,} confirmed, {undone:,} undone"),
        (f"{open_orders:,}", "orders left open", "after the system had come to rest"),
        (f"{broken:,}", "promises broken", "order by order, and event by event"),
    ]
    if faults:
        known = [fault["recovery_seconds"] for fault in faults if fault["recovery_seconds"] is not None]
        typical = f"typically {seconds(median(known))}" if known else "no order after any fault"
        tiles.append((seconds(max(known, default=None)), "slowest recovery", typical))
    if counts["deliveries"]:
        again = sum(counts["duplicates_delivered"].values())
        applied = counts["duplicates_applied"]
        tiles.append((f"{again:,}", "messages delivered twice", f"{applied} of them took effect twice"))
    latency = series.latency_ms
    tiles.append(
        (f"{latency['p50']:.0f} ms", "to accept an order", f"half within; 99 of 100 within {latency['p99']:,.0f} ms")
    )
    return tiles


def _ends(orders: Mapping[str, int]) -> list[dict[str, Any]]:
    whole = sum(orders.values()) or 1
    known = {**ENDS, **{end: (end, "open") for end in orders if end not in ENDS}}
    return [
        {"name": name, "style": style, "count": orders[end], "share": 100 * orders[end] / whole}
        for end, (name, style) in known.items()
        if orders.get(end)
    ]


def _by_kind(faults: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line for each kind of fault."""
    kinds: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for fault in faults:
        kinds[fault["name"]].append(fault)
    return [
        {
            "name": name,
            "times": len(known),
            "took_effect": sum(bool(fault["took_effect"]) for fault in known),
            "during": sum(fault["accepted_during"] for fault in known),
            "typical": median(recovered) if (recovered := _recovered(known)) else None,
            "slowest": max(recovered) if len(recovered) == len(known) else None,
        }
        for name, known in sorted(kinds.items())
    ]


def _recovered(faults: Sequence[Mapping[str, Any]]) -> list[float]:
    return [fault["recovery_seconds"] for fault in faults if fault["recovery_seconds"] is not None]


def _data(shown: Sequence[Figure], series: Series, faults: Sequence[Mapping[str, Any]]) -> str:
    """The data of the tool tip, as JSON that is safe inside a script element."""
    known = {
        "step": series.step_seconds,
        "seconds": series.seconds,
        "left": figures.LEFT,
        "width": figures.WIDTH,
        "right": figures.RIGHT,
        "figures": [{"title": figure.panel.title, "series": figure.values} for figure in shown],
        "faults": [[fault["began"], fault["ended"], fault["name"]] for fault in faults],
    }
    return json.dumps(known, separators=(",", ":")).replace("<", "\\u003c")
