"""How PostgreSQL runs a statement: for tests that it uses an index, and how many rows it reads of a large table."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Engine, TextClause

    Plan = dict[str, Any]

# What EXPLAIN counts of a scan: the rows that passed, and those that were read in vain.
_READ = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


@contextmanager
def sent_statements(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that are sent inside, without BEGIN, COMMIT and the NOTIFY that wakes the relay."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "NOTIFY" not in statement:
            sent.append(statement.strip())

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def explained(engine: Engine) -> Iterator[list[Plan]]:
    """Collect the nodes of the plan of every statement that runs inside, but for INSERT, as EXPLAIN names them."""
    nodes: list[Plan] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            nodes.extend(_nodes(cursor.fetchone()[0][0]["Plan"]))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield nodes
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def run_and_explain(connection: Connection, statement: TextClause, values: Mapping[str, Any]) -> Plan:
    """Run the statement; returns its plan with what each node really did."""
    explain = text(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement.text}")
    plan: Plan = connection.execute(explain, values).scalar_one()[0]["Plan"]
    return plan


def rows_read(plan: Plan) -> Counter[str]:
    """How many rows of each table were read, also those that a filter dropped."""
    read: Counter[str] = Counter()
    for node in _nodes(plan):
        if node["Node Type"].endswith(" Scan") and "Relation Name" in node:
            read[node["Relation Name"]] += sum(node.get(name, 0) for name in _READ) * node["Actual Loops"]
    return read


def scans(plan: Plan) -> list[str]:
    """How the plan reads each table, in words: `Index Scan of orders by orders_pkey, filter (...)`."""
    found = []
    for node in _nodes(plan):
        if "Relation Name" in node and node["Node Type"].endswith(" Scan"):
            by = f" by {node['Index Name']}" if "Index Name" in node else ""
            kept = "".join(f", {name.lower()} {node[name]}" for name in ("Index Cond", "Filter") if name in node)
            found.append(f"{node['Node Type']} of {node['Relation Name']}{by}{kept}")
    return found


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
