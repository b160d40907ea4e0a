"""Dead letters on the terminal. Any publisher may have set their content, so markup in it is escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

MAX_BODY_SHOWN = 2_000
MAX_ERROR_SHOWN = 120
_FIELDS = ("status", "queue", "reason", "error_class", "error", "attempts", "event_id", "event_type", "subject")
_MORE = ("order_id", "correlation_id", "trace_id", "failed_at", "filed_at", "body_bytes")


def letter_table(letters: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("letter, failed at", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("event and error")
    for letter in letters:
        what = f"{letter['event_type'] or 'no event'} in {letter['queue']}"
        error = f"{letter['error_class'].rpartition('.')[2] or letter['reason']}: {letter['error']}"
        table.add_row(
            _plain(f"{letter['id']}\n{letter['failed_at']}"),
            _plain(letter["status"]),
            _plain(f"{what}\n{_one_line(error)}"),
        )
    return table


def show_letter(letter: dict[str, Any], console: Console) -> None:
    facts = Table.grid(padding=(0, 2))
    for name in (*_FIELDS, *_MORE):
        if letter[name] not in (None, ""):
            facts.add_row(Text(name.replace("_", " "), style="dim"), _plain(letter[name]))
    console.print(facts)
    _section(console, "Traceback", letter["traceback"])
    _section(console, "Event" if letter["event"] else "Body", _body(letter))
    history = Table(title="History", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("at", "what", "by", ""):
        history.add_column(name)
    for entry in letter["history"]:
        rest = ", ".join(f"{name} {entry[name]}" for name in ("outcome", "reason", "error", "job_id") if name in entry)
        history.add_row(*(_plain(cell) for cell in (entry["at"], entry["kind"], entry.get("by", ""), rest)))
    console.print()
    console.print(history)


def _body(letter: dict[str, Any]) -> str:
    if letter["event"]:
        return json.dumps(letter["event"], indent=2)
    content = str(letter["body"]["content"])
    shown = content[:MAX_BODY_SHOWN]
    rest = "" if shown == content and not letter["body"]["truncated"] else "\n... (more with --json)"
    return f"({letter['body']['encoding']}) {shown}{rest}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_ERROR_SHOWN else f"{line[:MAX_ERROR_SHOWN]}..."


def _section(console: Console, title: str, text: str) -> None:
    if text:
        console.print()
        console.print(Text(title, style="bold"))
        console.print(_plain(text))


def _plain(value: Any) -> Text:
    """Without control characters, which a terminal might interpret."""
    text = "" if value is None else str(value)
    return Text("".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text))
