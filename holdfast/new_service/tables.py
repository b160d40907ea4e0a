"""Inserts lines into the tables of the code, each below the line of inventory, a typical context."""

from __future__ import annotations

import re
from typing import NamedTuple

from infrastructure.local.errors import StackError

MODEL = "inventory"


class Line(NamedTuple):
    """Inserts `added` below the one line of `file` that fully matches `pattern`, or replaces it if `in_place`."""

    file: str
    pattern: str
    added: str
    in_place: bool = False


def table_lines(name: str, resource: str, service_port: int, worker_port: int) -> list[Line]:
    """Return every line for a new context."""
    processes, topology = "infrastructure/processes.py", "workers/topology/main.py"
    routes, scheduler = "infrastructure/gateway/routes.py", "workers/scheduler/main.py"
    return [
        Line(processes, r"RELATIONAL_CONTEXTS = \((.*)\)", rf'RELATIONAL_CONTEXTS = (\1, "{name}")', in_place=True),
        Line(processes, rf'    _service\("{MODEL}", .*', f'    _service("{name}", {service_port}, *KEYS),'),
        Line(processes, rf'    _worker\("{MODEL}", .*', f'    _worker("{name}", {worker_port}, BATCHES),'),
        Line(topology, rf"from workers\.{MODEL} .*", f"from workers.{name} import consumers as {name}"),
        Line(topology, rf'    "{MODEL}": {MODEL}\.HANDLERS,', f'    "{name}": {name}.HANDLERS,'),
        Line(scheduler, rf"from workers\.{MODEL} .*", f"from workers.{name} import sweeps as {name}"),
        Line(scheduler, rf'    "{MODEL}": {MODEL}\.SWEEPS,', f'    "{name}": {name}.SWEEPS,'),
        Line(scheduler, r"OUTBOXES = \((.*)\)", rf'OUTBOXES = (\1, "{name}")', in_place=True),
        Line(scheduler, rf'        "{MODEL}": engines\["{MODEL}"\],', f'        "{name}": engines["{name}"],'),
        Line(routes, rf'    \(".*", "{MODEL}"\),', f'    ("/api/v1/{resource}", "{name}"),'),
        Line(routes, rf'    "{MODEL}": .*', f'    "{name}": "What {name} has recorded",'),
    ]


def add_line(text: str, line: Line) -> str:
    """Return the text with the line. StackError if its place is missing or not unique."""
    pattern = re.compile(rf"^{line.pattern}$", re.MULTILINE)
    found = list(pattern.finditer(text))
    if len(found) != 1:
        raise StackError(f"{line.file}: {len(found)} lines instead of one look like `{line.pattern}`")
    added = found[0].expand(line.added) if line.in_place else f"{found[0][0]}\n{line.added}"
    return text[: found[0].start()] + added + text[found[0].end() :]
