"""Dead letters on the terminal. Everything of a letter may come from a stranger: nothing in it is read as markup."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

MAX_BODY_SHOWN = 2_000
_FIELDS = ("status", "queue", "reason", "error_class", "error", "attempts", "event_id", "event_type", "subject")
_MORE = ("order_id", "correlation_id", "trace_id", "failed_at", "filed_at", "body_bytes")


def letter_table(letters: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("id", "status", "queue", "event", "subject", "error", "failed at"):
        table.add_column(name, overflow="fold" if name == "id" else "ellipsis", no_wrap=name != "error")
    for letter in letters:
        error = f"{letter['error_class'].rpartition('.')[2] or letter['reason']}: {letter['error'][:100]}"
        cells = (letter["id"], letter["status"], letter["queue"], letter["event_type"], letter["subject"], error)
        table.add_row(*(_plain(cell) for cell in (*cells, letter["failed_at"][:19])))
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


def _section(console: Console, title: str, text: str) -> None:
    if text:
        console.print()
        console.print(Text(title, style="bold"))
        console.print(_plain(text))


def _plain(value: Any) -> Text:
    """Without control characters, which a terminal might obey."""
    text = "" if value is None else str(value)
    return Text("".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text))
