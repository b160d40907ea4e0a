"""Events as rows, in the transaction of the state that they report."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from common.messaging import outbox
from common.messaging.events import Event, from_json
from common.storage.postgresql import transaction
from common.tests.outboxes import Outbox, make_event

pytestmark = pytest.mark.integration


def bodies(box: Outbox) -> list[Event]:
    with transaction(box.engine) as connection:
        return [
            from_json(body) for body in connection.execute(text("SELECT body FROM outbox ORDER BY position")).scalars()
        ]


def test_events_are_written_as_they_are_and_in_their_order(box: Outbox) -> None:
    events = [make_event(number) for number in range(1, 51)]
    box.add(*events)
    assert bodies(box) == events
    assert box.waiting() == [event.id for event in events]


def test_nothing_is_written_if_the_transaction_fails(box: Outbox) -> None:
    def add_and_fail() -> None:
        with transaction(box.engine) as connection:
            outbox.add(connection, make_event())
            raise RuntimeError("the effect failed")

    with pytest.raises(RuntimeError):
        add_and_fail()
    assert box.waiting() == []


def test_without_events_no_statement_is_sent(box: Outbox) -> None:
    box.add()
    assert box.waiting() == []


def test_a_row_for_a_combined_statement_is_the_same(box: Outbox) -> None:
    event = make_event()
    insert = text(f"INSERT INTO outbox ({outbox.COLUMNS}) VALUES (:event_id, :type, :correlation_id, :body)")
    with transaction(box.engine) as connection:
        connection.execute(insert, outbox.row(connection, event))
    assert bodies(box) == [event]


def test_what_is_added_in_one_statement_is_written_in_its_order(box: Outbox) -> None:
    first, second, own, last = (make_event(number) for number in range(1, 5))
    insert = text(f"INSERT INTO outbox ({outbox.COLUMNS}) VALUES (:event_id, :type, :correlation_id, :body)")
    with transaction(box.engine) as connection:
        with outbox.in_one_statement(connection):
            outbox.add(connection, first)
            outbox.add(connection, second)
            connection.execute(insert, outbox.row(connection, own))
            outbox.add(connection, last)
            assert connection.execute(text("SELECT count(*) FROM outbox")).scalar() == 3
        outbox.add(connection, after := make_event(5))
    assert bodies(box) == [first, second, own, last, after]


def test_nothing_of_a_failed_block_is_written_later(box: Outbox) -> None:
    def add_and_fail() -> None:
        with transaction(box.engine) as connection, outbox.in_one_statement(connection):
            outbox.add(connection, make_event())
            raise RuntimeError("the effect failed")

    with pytest.raises(RuntimeError):
        add_and_fail()
    box.add(event := make_event())
    assert bodies(box) == [event]
