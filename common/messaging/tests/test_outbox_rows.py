"""An outbox table as the relay sees it, and that no statement reads all of a large one."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from common.messaging import outbox
from common.messaging.outbox_rows import RESTORED_ROWS, Backlog, OutboxRows
from common.storage.postgresql import autocommit
from common.tests.outboxes import ROUTED, UNROUTABLE, Outbox, make_event
from common.tests.query_plans import explained

pytestmark = pytest.mark.integration
MANY = 50_000
FADED = "thing.faded.v1"


def run(box: Outbox, statement: str) -> None:
    with autocommit(box.engine) as connection:
        connection.execute(text(statement))


def fill(box: Outbox, count: int, event_type: str) -> None:
    values = f"SELECT gen_random_uuid(), '{event_type}', 'r', repeat('x', 600) FROM generate_series(1, {count})"
    run(box, f"INSERT INTO outbox ({outbox.COLUMNS}) {values}")


def test_the_oldest_come_first_without_those_set_aside(box: Outbox) -> None:
    events, rows = box.fill(5), OutboxRows(box.engine)
    fetched = rows.fetch(3)
    assert [row.event_id for row in fetched] == [event.id for event in events[:3]]
    rows.set_aside([fetched[0].position])
    rows.delete([fetched[1].position])
    assert [row.event_id for row in rows.fetch(9)] == [event.id for event in events[2:]]
    assert box.set_aside() == [events[0].id]


def test_a_row_keeps_the_moment_at_which_it_was_set_aside_first(box: Outbox) -> None:
    box.fill(1)
    rows = OutboxRows(box.engine)
    [row] = rows.fetch(1)
    moments = []
    for _ in range(2):
        rows.set_aside([row.position])
        with autocommit(box.engine) as connection:
            moments.append(connection.execute(text("SELECT set_aside_at FROM outbox")).scalar_one())
    assert moments[0] == moments[1]


def test_the_oldest_of_each_set_aside_type_is_the_sample_and_one_type_is_restored(box: Outbox) -> None:
    rows = OutboxRows(box.engine)
    assert rows.sample_set_aside() == []
    first = [make_event(event_type=event_type) for event_type in (UNROUTABLE, FADED, ROUTED)]
    box.add(*first)
    for event_type in (FADED, UNROUTABLE):
        fill(box, RESTORED_ROWS + 100, event_type)
    run(box, f"UPDATE outbox SET set_aside_at = now() WHERE type <> '{ROUTED}'")
    assert [row.event_id for row in rows.sample_set_aside()] == [first[0].id, first[1].id]
    run(box, "UPDATE outbox SET set_aside_at = NULL WHERE position = 1")
    assert rows.sample_set_aside() == []  # an older one waits
    run(box, "UPDATE outbox SET set_aside_at = now() WHERE position = 1")
    assert rows.restore([FADED], lambda: True) == RESTORED_ROWS + 101
    assert [row.event_id for row in rows.sample_set_aside()] == [first[0].id]
    assert rows.measure().rows == RESTORED_ROWS + 102


def test_restoring_stops_between_two_portions_on_request(box: Outbox) -> None:
    fill(box, RESTORED_ROWS + 100, UNROUTABLE)
    run(box, "UPDATE outbox SET set_aside_at = now()")
    answers = iter([True, False])
    assert OutboxRows(box.engine).restore([UNROUTABLE], lambda: next(answers)) == RESTORED_ROWS
    assert len(box.set_aside()) == 100


def test_the_backlog_is_counted_and_not_subtracted(box: Outbox) -> None:
    rows = OutboxRows(box.engine)
    assert rows.measure() == Backlog()
    box.fill(1)
    run(box, "ALTER TABLE outbox ALTER COLUMN position RESTART WITH 1000000")
    box.fill(2)
    run(box, "UPDATE outbox SET created_at = now() - interval '100 seconds' WHERE position = 1")
    found = rows.measure()
    assert (found.rows, found.set_aside_rows) == (3, 0)
    assert 100 <= found.seconds < 200
    run(box, "UPDATE outbox SET set_aside_at = now() WHERE position = 1")
    found = rows.measure()
    assert (found.rows, found.set_aside_rows) == (2, 1)
    assert found.seconds < 100 <= found.set_aside_seconds < 200


@pytest.mark.parametrize("is_analyzed", [True, False])
@pytest.mark.parametrize("set_aside", [0, 10, MANY])
def test_no_statement_reads_the_whole_table(box: Outbox, set_aside: int, is_analyzed: bool) -> None:
    rows = OutboxRows(box.engine)
    fill(box, MANY, ROUTED)
    if set_aside:
        fill(box, set_aside, UNROUTABLE)
        run(box, f"UPDATE outbox SET set_aside_at = now() WHERE type = '{UNROUTABLE}'")
    if is_analyzed:
        run(box, "ANALYZE outbox")
    with explained(box.engine) as nodes:
        fetched = rows.fetch(500)
        rows.sample_set_aside()
        rows.measure()
        rows.set_aside([row.position for row in fetched[:5]])
        rows.delete([row.position for row in fetched])
        rows.restore([UNROUTABLE], lambda: True)
        run(box, f"SELECT jsonb_build_object({outbox.BACKLOG})")
        run(box, f"SELECT {outbox.LAG_SECONDS}")
    assert len({node["Index Name"] for node in nodes if "Index Name" in node}) >= 2
    assert [node["Node Type"] for node in nodes if "Seq Scan" in node["Node Type"]] == []
