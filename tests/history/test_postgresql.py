"""A statement reads a few rows of a large table, independent of its size.

Each statement of the tree is run, and rolled back, on tables of 20,000 rows and more. A new statement is found by
itself; give a new parameter its values in `parameters.py`, and a new context its rows in `filling.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.messaging.outbox_rows import COUNTED_ROWS, COUNTED_SET_ASIDE, RESTORED_ROWS
from common.storage.postgresql import make_engine
from common.tests.query_plans import rows_read, run_and_explain, scans
from infrastructure.database_roles import OWNER
from services.payments.undecided_payments import MAX_LOOKED_AT
from tests.history.filling import FILLINGS, fill
from tests.history.parameters import combinations, described_statements
from tests.history.statements import ROOT, Statement, inline_statements, statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

MAX_ROWS = 200  # a page of ten, or one customer's orders
# Statements that deliberately read more: the limit, and the reason.
READ_MORE = {
    "common.messaging.outbox_rows._MEASURE": (
        COUNTED_ROWS + COUNTED_SET_ASIDE + MAX_ROWS,
        "it counts what waits to be published, up to a bound",
    ),
    "common.messaging.outbox_rows._RESTORE": (2 * RESTORED_ROWS + MAX_ROWS, "a portion is as large as this"),
    "services.orders.models._LIST_OF_SKU_BY_STATUS": (
        2000 + MAX_ROWS,
        "of a SKU and a status one goes by an index, whichever the planner takes for rarer: an operator's search",
    ),
    "services.payments.undecided_payments._PAGE": (
        MAX_LOOKED_AT + MAX_ROWS,
        "it looks at those that wait longest, up to a bound",
    ),
    "services.orders.models._FIND_AND_MEASURE": (
        COUNTED_ROWS,
        "it counts what waits to be published, up to a bound, once in a while",
    ),
}
# Statements of the migration job and of the connection itself; and `statement`, which creates them.
INLINE = ["common/storage/migrations.py", "common/storage/postgresql.py", "common/storage/statements.py"]


@pytest.fixture(scope="module")
def engine_of(context_database: Callable[[str], Callable[[str], str]]) -> Iterator[Callable[[str], Engine]]:
    """The database of a context, filled, on a connection of its owner."""
    made: dict[str, Engine] = {}

    def make(context: str) -> Engine:
        if context not in made:
            url = context_database(context)(OWNER)
            made[context] = make_engine(url, pool_size=1, timeout_seconds=60, name="test-history")
            fill(made[context], context)
        return made[context]

    yield make
    for engine in made.values():
        engine.dispose()


@pytest.mark.integration
@pytest.mark.parametrize("statement", statements(), ids=lambda statement: statement.name)
def test_a_statement_reads_few_rows_of_a_large_table(engine_of: Callable[[str], Engine], statement: Statement) -> None:
    most, _reason = READ_MORE.get(statement.name, (MAX_ROWS, ""))
    with engine_of(statement.context).connect() as connection:
        for values in combinations(statement):
            plan = run_and_explain(connection, statement.clause, values)
            connection.rollback()
            too_many = {table: rows for table, rows in rows_read(plan).items() if rows > most}
            assert not too_many, f"{statement.name} with {values}: an index is missing? {'; '.join(scans(plan))}"


def test_each_statement_is_found() -> None:
    assert len(statements()) > 50
    assert inline_statements() == INLINE


def test_each_context_has_a_long_history() -> None:
    contexts = {path.parents[2].name for path in Path(ROOT).glob("services/*/migrations/versions/*.py")}
    assert contexts == set(FILLINGS)


def test_every_exception_belongs_to_a_statement() -> None:
    names = {statement.name for statement in statements()}
    assert set(READ_MORE) | described_statements() <= names
