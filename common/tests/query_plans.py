"""How PostgreSQL would run what an engine is asked: for tests that a query uses an index whatever the table's size."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


@contextmanager
def explained(engine: Engine) -> Iterator[list[dict[str, Any]]]:
    """Collect the nodes of the plan of every statement that runs inside, but for INSERT, as EXPLAIN names them."""
    nodes: list[dict[str, Any]] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            nodes.extend(_nodes(cursor.fetchone()[0][0]["Plan"]))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield nodes
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
