"""What wakes the relay, on real servers. With a poll interval of ten minutes only a wake-up can publish in time."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from common.messaging import outbox
from common.messaging.relay_wakeup import CHANNEL, Listener, Waker
from common.storage.postgresql import autocommit, transaction
from common.tests.outboxes import Outbox, QueueReader, eventually, make_event, make_relay, running
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from sqlalchemy import Engine


pytestmark = pytest.mark.integration
NEVER_SECONDS = 600.0
CALLS = 200


@pytest.fixture
def no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.messaging.relay.POLL_SECONDS", NEVER_SECONDS)


def notify(box: Outbox) -> None:
    with autocommit(box.engine) as connection:
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


def listeners(box: Outbox) -> list[int]:
    """The sessions that are waiting for a wake-up. What a session did last is LISTEN, or a look that came after it."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'relay' AND datname = current_database()"
    with autocommit(box.engine) as connection:
        return list(connection.execute(text(query)).scalars())


def is_waiting(box: Outbox) -> bool:
    """Whether the relay has found nothing and waits: its last statement is a look into the outbox, and has ended."""
    query = """SELECT count(*) FROM pg_stat_activity WHERE application_name = 'relay' AND state = 'idle'
               AND datname = current_database() AND query LIKE '%FROM outbox WHERE set_aside_at IS NULL ORDER%'"""
    with autocommit(box.engine) as connection:
        return bool(connection.execute(text(query)).scalar_one())


def received(listener: Listener) -> bool:
    listener.listen()
    return listener.take()


def statements(engine: Engine) -> list[tuple[str, bool]]:
    """Every statement from now on, and whether it ran in a transaction of several."""
    seen: list[tuple[str, bool]] = []

    def note(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append((statement, not connection.connection.dbapi_connection.autocommit))

    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    return seen


@pytest.mark.usefixtures("no_look")
def test_a_commit_wakes_the_relay_and_the_order_stays(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with running(make_relay(box, vhost), partial(notify, box)):
        eventually(lambda: is_waiting(box))
        events = [event for _ in range(20) for event in box.fill(3)]
        eventually(lambda: box.waiting() == [])
    assert reader.read() == [event.id for event in events]


def test_an_event_whose_notification_is_lost_is_published_at_the_next_poll(
    box: Outbox, reader: QueueReader, vhost: str
) -> None:
    with running(make_relay(box, vhost), partial(notify, box)):
        eventually(lambda: is_waiting(box))
        insert = text(f"INSERT INTO outbox ({outbox.COLUMNS}) VALUES (:event_id, :type, :correlation_id, :body)")
        event = make_event()
        values = {"event_id": event.id, "type": event.type, "correlation_id": "x", "body": event.to_json()}
        with transaction(box.engine) as connection:
            connection.execute(insert, values)
        eventually(lambda: box.waiting() == [])
    assert reader.read() == [event.id]


@pytest.mark.usefixtures("no_look")
def test_a_relay_whose_connection_was_cut_listens_again(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with running(make_relay(box, vhost), partial(notify, box)):
        eventually(lambda: is_waiting(box))
        [first] = listeners(box)
        with autocommit(box.engine) as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
        eventually(lambda: is_waiting(box) and listeners(box) != [first])
        [event] = box.fill(1)
        eventually(lambda: box.waiting() == [])
    assert reader.read() == [event.id]


@pytest.mark.usefixtures("no_look")
def test_a_relay_listens_again_after_its_broker_was_down(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(vhost) as link, running(make_relay(box, link.url), partial(notify, box)):
        eventually(lambda: is_waiting(box))
        link.cut()
        [first] = box.fill(1)
        link.restore()
        eventually(lambda: box.waiting() == [])
        [second] = box.fill(1)
        eventually(lambda: box.waiting() == [])
    assert list(dict.fromkeys(reader.read())) == [first.id, second.id]


def test_notifications_do_not_pile_up_while_the_broker_is_down(box: Outbox, vhost: str) -> None:
    engine, opened = box.connect_relay(), list[Any]()
    sqlalchemy_event.listen(engine, "connect", lambda connection, _record: opened.append(connection))
    with Link(vhost) as link, running(make_relay(box, link.url, engine=engine), partial(notify, box)):
        eventually(lambda: is_waiting(box))
        link.cut()
        for _ in range(CALLS):
            notify(box)
        sent = time.monotonic()
        eventually(lambda: time.monotonic() > sent + 3 and not any(each.notifies for each in opened))


def test_the_relay_that_takes_over_is_the_one_that_is_woken(
    box: Outbox, reader: QueueReader, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(make_relay(box, vhost, "relay-b"), partial(notify, box)):
        with running(make_relay(box, vhost, "relay-a"), partial(notify, box)):
            eventually(lambda: is_waiting(box))
        eventually(lambda: box.holder() is not None)
        eventually(lambda: is_waiting(box))
        monkeypatch.setattr("common.messaging.relay.POLL_SECONDS", NEVER_SECONDS)
        notify(box)  # the wait that has begun is a short one
        [event] = box.fill(1)
        eventually(lambda: box.waiting() == [])
        events = box.fill(2)
        eventually(lambda: box.waiting() == [])
    assert reader.read() == [each.id for each in (event, *events)]


def test_nothing_is_notified_in_the_business_transaction(box: Outbox) -> None:
    seen = statements(box.engine)
    box.fill(1)
    eventually(lambda: any("NOTIFY" in statement for statement, _ in seen))
    [within] = [within for statement, within in seen if "NOTIFY" in statement]
    assert not within
    assert next(within for statement, within in seen if "INSERT INTO outbox" in statement)


def test_an_uncommitted_event_wakes_no_relay(box: Outbox) -> None:
    listener = Listener(box.connect_relay())
    listener.listen()
    with transaction(box.engine) as connection:
        outbox.add(connection, make_event())
        time.sleep(0.3)
        assert not received(listener)
    eventually(lambda: received(listener))


def test_what_comes_in_quick_succession_shares_notifications(box: Outbox) -> None:
    seen = statements(box.engine)
    waker = Waker(box.engine)
    for _ in range(CALLS):
        waker.wake()
    eventually(lambda: len(seen) > 0)
    time.sleep(0.2)
    assert 1 <= len(seen) < CALLS
    already = len(seen)
    waker.wake()
    eventually(lambda: len(seen) > already)


def test_an_engine_that_is_gone_leaves_no_thread(box: Outbox) -> None:
    engine, before = box.connect(), set(threading.enumerate())  # of other tests' engines some may be left
    with transaction(engine) as connection:
        outbox.add(connection, make_event())
    [own] = [thread for thread in set(threading.enumerate()) - before if thread.name == "wake-relay"]
    engine.dispose()
    del engine, connection

    def ended() -> bool:
        import gc  # noqa: PLC0415 - SQLAlchemy's engines are cycles

        gc.collect()
        return not own.is_alive()

    eventually(ended)
