"""Batches of events: the outcome of each mail, and the events that are handled alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from common.messaging.events import new_id
from common.messaging.inbox import Delivery
from common.tests.ports import free_port
from workers.mail.batches import MAX_MAILS, MailBatches
from workers.mail.contacts import UsersUnavailableError
from workers.mail.mail_server import MailDeferredError, MailRefusedError, MailServerUnavailableError
from workers.mail.messages import InvalidAddressError
from workers.mail.tests.catching import ADDRESS, CUSTOMER, THREADS
from workers.mail.tests.test_consumers import CANCELLED, CONFIRMED, counted, event, handle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymongo.database import Database

    from common.messaging.events import Event
    from workers.mail.consumers import Resources
    from workers.mail.contacts import Contacts
    from workers.mail.tests.catching import Catcher, Users

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration


def in_batch(resources: Resources | None, events: Sequence[Event], **changes: Any) -> list[bool | None]:
    options = {"threads": THREADS, "begin_seconds": 120.0} | changes
    return MailBatches(resources, **options).handle([Delivery("mail", each) for each in events])


def for_customers(users: Users, count: int) -> list[Event]:
    """An event for each of `count` customers; the address of each has its id."""
    made = [event(CONFIRMED, customer_id=new_id()) for _ in range(count)]
    for each in made:
        customer_id = each.data["customer_id"]
        users.contacts[customer_id] = {"username": "johndoe", "email": address_of(each)}
    return made


def address_of(received: Event) -> str:
    return f"{received.data['customer_id']}@shop.example"


def received_by(catcher: Catcher) -> set[tuple[str, str]]:
    return {(str(mail["To"]), str(mail["Message-ID"])) for mail in catcher.mails}


@pytest.mark.parametrize("threads", [1, THREADS])
def test_each_mail_of_a_batch_is_sent_once_to_its_own_customer(
    resources: Resources, catcher: Catcher, users: Users, store: Store, threads: int
) -> None:
    events, before = for_customers(users, MAX_MAILS), counted("confirmed", "sent")
    assert in_batch(resources, events, threads=threads) == [True] * MAX_MAILS
    assert in_batch(resources, events, threads=threads) == [None] * MAX_MAILS
    assert [handle(resources, each) for each in events] == ["duplicate"] * MAX_MAILS
    assert len(catcher.mails) == MAX_MAILS
    assert received_by(catcher) == {(address_of(each), f"<{each.id}@shop.example>") for each in events}
    assert len(catcher.sessions) <= threads
    assert counted("confirmed", "sent") == before + MAX_MAILS
    assert "shop.example>" in repr(list(store["mails"].find()))
    assert not any(address_of(each) in repr(list(store["mails"].find())) for each in events)


def test_the_addresses_of_a_batch_are_read_with_one_request(resources: Resources, users: Users) -> None:
    events = for_customers(users, 7)
    in_batch(resources, [*events, event(CANCELLED, customer_id=events[0].data["customer_id"])])
    assert users.requests == []
    assert users.lookups == [sorted(each.data["customer_id"] for each in events)]


def test_duplicates_inside_a_batch_are_one_mail(resources: Resources, catcher: Catcher) -> None:
    received = event(CONFIRMED)
    republished = event(CONFIRMED, order_id=received.data["order_id"])
    other_kind = event(CANCELLED, order_id=received.data["order_id"])
    events = [received, received, republished, other_kind]
    assert in_batch(resources, events) == [True, None, None, True]
    assert [handle(resources, each) for each in events] == ["duplicate"] * 4
    assert sorted(str(mail["Message-ID"]) for mail in catcher.mails) == sorted(
        f"<{each.id}@shop.example>" for each in (received, other_kind)
    )


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("550 5.1.1 <{address}> unknown", MailRefusedError), ("451 4.7.1 later", MailDeferredError)],
)
def test_a_failing_mail_does_not_affect_the_others(
    resources: Resources, catcher: Catcher, users: Users, answer: str, kind: type[Exception]
) -> None:
    events = for_customers(users, 9)
    catcher.refusals[address_of(events[4])] = answer
    assert in_batch(resources, events) == [True] * 4 + [None] + [True] * 4
    with pytest.raises(kind):
        handle(resources, events[4])
    catcher.refusals.clear()
    assert handle(resources, events[4]) == "done"
    assert received_by(catcher) == {(address_of(each), f"<{each.id}@shop.example>") for each in events}
    assert len(catcher.mails) == len(events)


def test_an_invalid_address_does_not_affect_the_others(resources: Resources, catcher: Catcher, users: Users) -> None:
    events = for_customers(users, 3)
    users.contacts[events[0].data["customer_id"]]["email"] = f"{ADDRESS}\r\nBcc: victim@example.com"
    assert in_batch(resources, events) == [None, True, True]
    with pytest.raises(InvalidAddressError):
        handle(resources, events[0])
    assert len(catcher.mails) == 2


def test_users_without_an_address_get_no_mail_and_the_others_do(
    resources: Resources, catcher: Catcher, users: Users, store: Store
) -> None:
    events, before = for_customers(users, 3), counted("confirmed", "no_address")
    del users.contacts[events[1].data["customer_id"]]
    assert in_batch(resources, events) == [True] * 3
    assert len(catcher.mails) == 2
    assert counted("confirmed", "no_address") == before + 1
    assert store["mails"].count_documents({"status": "no_address", "event_id": events[1].id}) == 1


def test_a_malformed_event_does_not_affect_the_others(resources: Resources, catcher: Catcher) -> None:
    assert in_batch(resources, [event(CONFIRMED, customer_id="nobody"), event(CONFIRMED)]) == [None, True]
    assert in_batch(resources, [event(CONFIRMED, total=1)] * 2) == [None, None]
    assert len(catcher.mails) == 1


def test_nothing_is_sent_or_claimed_while_the_users_service_is_down(
    resources: Resources, catcher: Catcher, users: Users, store: Store, make_contacts: Callable[..., Contacts]
) -> None:
    events = for_customers(users, 5)
    without = replace(resources, contacts=make_contacts(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(UsersUnavailableError):
        in_batch(without, events)
    for each in events:
        with pytest.raises(UsersUnavailableError):
            handle(without, each)
    assert store["mails"].count_documents({"status": "open"}) == 5
    assert [handle(resources, each) for each in events] == ["done"] * 5
    assert len(catcher.mails) == 5


def test_no_mail_is_recorded_as_sent_while_the_mail_server_is_down(
    resources: Resources, catcher: Catcher, users: Users, store: Store
) -> None:
    events = for_customers(users, MAX_MAILS)
    catcher.stop()
    assert in_batch(resources, events) == [None] * MAX_MAILS
    assert store["mails"].count_documents({"status": "open"}) == MAX_MAILS
    # Not `MailInHandError`: no claim remains, so the worker pauses.
    with pytest.raises(MailServerUnavailableError):
        handle(resources, events[0])
    catcher.start()
    assert [handle(resources, each) for each in events] == ["done"] * MAX_MAILS
    assert len(catcher.mails) == MAX_MAILS


def test_no_further_mail_of_the_batch_is_sent_after_an_outage(
    resources: Resources, catcher: Catcher, users: Users
) -> None:
    catcher.sender = "451 4.3.2 not now"
    assert in_batch(resources, for_customers(users, MAX_MAILS), threads=1) == [None] * MAX_MAILS
    assert len(catcher.sessions) == 1


def test_an_earlier_users_service_gets_one_request_per_user(
    resources: Resources, catcher: Catcher, users: Users
) -> None:
    users.has_several = False
    events = for_customers(users, 6)
    assert in_batch(resources, events) == [True] * 6
    assert sorted(users.requests) == sorted(each.data["customer_id"] for each in events)
    assert len(catcher.mails) == 6


def test_no_mail_is_sent_when_its_lease_may_expire_before_the_record(
    resources: Resources, catcher: Catcher, users: Users
) -> None:
    events = for_customers(users, 5)
    assert in_batch(resources, events, begin_seconds=0) == [None] * 5
    assert catcher.mails == []
    assert [handle(resources, each) for each in events] == ["done"] * 5


def test_mails_are_sent_concurrently_to_a_slow_server(resources: Resources, catcher: Catcher, users: Users) -> None:
    """A batch uses several sessions, like single mails do."""
    catcher.gathers = THREADS
    assert in_batch(resources, for_customers(users, THREADS)) == [True] * THREADS
    assert len(catcher.sessions) == THREADS


def test_single_mails_during_a_batch_open_no_further_sessions(
    resources: Resources, catcher: Catcher, users: Users
) -> None:
    catcher.delay_seconds = 0.1
    events = for_customers(users, MAX_MAILS + THREADS)
    with ThreadPoolExecutor(THREADS + 1) as pool:
        batch = pool.submit(in_batch, resources, events[:MAX_MAILS])
        alone = list(pool.map(lambda each: handle(resources, each), events[MAX_MAILS:]))
    assert (batch.result(), alone) == ([True] * MAX_MAILS, ["done"] * THREADS)
    assert len(catcher.mails) == len(events)
    assert len(catcher.sessions) <= THREADS


def test_each_thread_records_its_mail_before_sending_another(
    resources: Resources, catcher: Catcher, users: Users, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    unrecorded: list[int] = []
    lock, send = threading.Lock(), resources.server.send

    def look_and_send(mail: bytes, recipient: str) -> None:
        with lock:
            unrecorded.append(len(catcher.mails) - store["mails"].count_documents({"status": "sent"}))
        send(mail, recipient)

    monkeypatch.setattr(resources.server, "send", look_and_send)
    assert in_batch(resources, for_customers(users, MAX_MAILS), threads=2) == [True] * MAX_MAILS
    # Of the two threads, the observing one has recorded its own mail.
    assert max(unrecorded) <= 1
    assert len(unrecorded) == MAX_MAILS


def test_events_are_dropped_without_a_mail_server(store: Store) -> None:
    before = counted("confirmed", "off")
    events = [event(CONFIRMED), event(CONFIRMED, customer_id="nobody"), event(CONFIRMED)]
    assert in_batch(None, events) == [True, None, True]
    assert counted("confirmed", "off") == before + 2
    assert store["mails"].count_documents({}) == 0


def test_the_log_of_a_batch_contains_no_address(
    resources: Resources, catcher: Catcher, users: Users, capfd: pytest.CaptureFixture[str]
) -> None:
    structlog.reset_defaults()  # another test of this process may have raised the level
    users.contacts[CUSTOMER] = {"username": "johndoe", "email": ADDRESS}
    catcher.recipient = "550 5.1.1 <{address}>: user unknown"
    assert in_batch(resources, [event(CONFIRMED), event(CANCELLED)]) == [None, None]
    output = "".join(capfd.readouterr())
    assert "550 5.1.1" in output
    assert ADDRESS not in output
