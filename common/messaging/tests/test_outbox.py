"""Events as rows, in the transaction of the state that they report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.messaging import outbox
from common.messaging.events import Event, from_json
from common.storage.postgresql import transaction
from common.tests.outboxes import Outbox, make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration


@pytest.fixture
def box(database: Callable[[], str]) -> Iterator[Outbox]:
    made = Outbox(database())
    yield made
    made.close()


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


def test_no_events_are_no_statement(box: Outbox) -> None:
    box.add()
    assert box.waiting() == []


def test_a_row_of_ones_own_statement_is_the_same_row(box: Outbox) -> None:
    event = make_event()
    insert = text(f"INSERT INTO outbox ({outbox.COLUMNS}) VALUES (:event_id, :type, :correlation_id, :body)")
    with transaction(box.engine) as connection:
        connection.execute(insert, outbox.row(connection, event))
    assert bodies(box) == [event]
