from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from common.observability import tracing
from common.storage.postgresql import autocommit, make_engine, ping, transaction
from common.tests.otlp_receiver import recording

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration


def test_statements_of_recorded_work_are_spans_with_their_text_and_without_their_values(
    database: Callable[[], str],
) -> None:
    engine = make_engine(database(), pool_size=1, timeout_seconds=60, name="test")
    name = engine.url.database
    with recording() as collector:
        ping(engine)
        with tracing.entry("work", "server", None, {}):
            with transaction(engine) as connection:
                connection.execute(text("SELECT :secret || :secret"), {"secret": "hunter2"})
            with autocommit(engine) as connection, pytest.raises(SQLAlchemyError):
                connection.execute(text("DELETE FROM nothing_like_it"))
            with pytest.raises(ValueError, match="undone"), transaction(engine):
                raise ValueError("undone")
            ping(engine)
        ping(engine)
        tracing.shutdown()
        work, select, delete = collector.wait_for("work", f"SELECT {name}", f"DELETE {name}")
        done, undone = collector.named("transaction")
    engine.dispose()
    assert len(collector.spans) == 6
    assert {span.parent_id for span in (done, undone, delete, collector.named(f"SELECT {name}")[1])} == {work.span_id}
    assert select.parent_id == done.span_id
    assert (select.kind, select.failed, delete.failed) == ("client", False, True)
    assert select.attributes["db.query.text"] == "SELECT %(secret)s || %(secret)s"
    assert "hunter2" not in repr(collector.spans)
    assert "UndefinedTable" in delete.attributes["error.type"]
    assert (undone.failed, undone.events) == (False, [("ValueError", {})])
