"""Events and the mails that they cause; each event is received twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import from_document, new_id
from common.messaging.inbox import AlreadyHandled, Delivery
from common.tests.ports import free_port
from workers.mail.consumers import HANDLERS
from workers.mail.contacts import UsersUnavailableError
from workers.mail.mail_server import MailDeferredError, MailRefusedError, MailServerUnavailableError
from workers.mail.messages import InvalidAddressError
from workers.mail.metrics import MAILS
from workers.mail.tests.catching import ADDRESS, CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from common.messaging.events import Event
    from workers.mail.consumers import Resources
    from workers.mail.contacts import Contacts
    from workers.mail.mail_server import MailServer
    from workers.mail.tests.catching import Catcher, Users

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
CONFIRMED, CANCELLED = "order.confirmed.v1", "order.cancelled.v1"
SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"


def event(event_type: str, **changes: Any) -> Event:
    document = json.loads((SAMPLES / f"{event_type}.json").read_text())
    return from_document(document | {"id": new_id(), "data": document["data"] | {"order_id": new_id()} | changes})


def handle(resources: Resources | None, received: Event) -> str:
    try:
        HANDLERS[received.type](Delivery("mail", received), resources)
    except AlreadyHandled:
        return "duplicate"
    return "done"


def counted(kind: str, outcome: str) -> float:
    return float(MAILS.labels(kind, outcome)._value.get())


@pytest.mark.parametrize(("event_type", "kind"), [(CONFIRMED, "confirmed"), (CANCELLED, "cancelled")])
def test_a_repeated_event_sends_one_mail(
    resources: Resources, catcher: Catcher, store: Store, event_type: str, kind: str
) -> None:
    received, before = event(event_type), counted(kind, "sent")
    assert [handle(resources, received) for _ in range(3)] == ["done", "duplicate", "duplicate"]
    duplicate = event(event_type, order_id=received.data["order_id"])
    assert handle(resources, duplicate) == "duplicate"
    [mail] = catcher.mails
    assert mail["Message-ID"] == f"<{received.id}@shop.example>"
    assert mail["Subject"] == f"Your order is {kind}"
    assert received.data["order_id"] in mail.get_content()
    assert catcher.recipients == [ADDRESS]
    assert counted(kind, "sent") == before + 1
    assert ADDRESS not in repr(list(store["mails"].find()))


def test_the_address_is_read_when_the_mail_is_sent(resources: Resources, catcher: Catcher, users: Users) -> None:
    received = event(CONFIRMED)
    users.contacts[CUSTOMER] = {"username": "johndoe", "email": "new@shop.example"}
    handle(resources, received)
    assert catcher.recipients == ["new@shop.example"]


def test_a_user_without_an_address_gets_no_mail_and_is_recorded(
    resources: Resources, catcher: Catcher, users: Users, store: Store
) -> None:
    users.contacts.clear()
    received, before = event(CANCELLED), counted("cancelled", "no_address")
    assert [handle(resources, received) for _ in range(2)] == ["done", "duplicate"]
    assert catcher.mails == []
    assert counted("cancelled", "no_address") == before + 1
    found = store["mails"].find_one()
    assert found
    assert (found["status"], found["event_id"]) == ("no_address", received.id)


@pytest.mark.parametrize(
    ("answer", "kind", "outcome"),
    [
        ("550 5.1.1 <{address}> unknown", MailRefusedError, "refused"),
        ("451 4.7.1 later", MailDeferredError, "deferred"),
    ],
)
def test_a_rejected_mail_can_be_retried(
    resources: Resources, catcher: Catcher, answer: str, kind: type[Exception], outcome: str
) -> None:
    received, before = event(CONFIRMED), counted("confirmed", outcome)
    catcher.recipient = answer
    for _ in range(2):
        with pytest.raises(kind):
            handle(resources, received)
    assert counted("confirmed", outcome) == before + 2
    catcher.recipient = ""
    assert handle(resources, received) == "done"
    assert [mail["Message-ID"] for mail in catcher.mails] == [f"<{received.id}@shop.example>"]


def test_no_mail_is_lost_while_the_mail_server_or_users_is_down(
    resources: Resources, catcher: Catcher, users: Users, make_contacts: Callable[..., Contacts]
) -> None:
    received = event(CONFIRMED)
    without_users = replace(resources, contacts=make_contacts(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(UsersUnavailableError):
        handle(without_users, received)
    catcher.stop()
    with pytest.raises(MailServerUnavailableError):
        handle(resources, received)
    catcher.start()
    assert [handle(resources, received) for _ in range(2)] == ["done", "duplicate"]
    assert len(catcher.mails) == 1


def test_an_invalid_address_is_rejected(resources: Resources, users: Users, catcher: Catcher) -> None:
    users.contacts[CUSTOMER] = {"username": "x", "email": f"{ADDRESS}\r\nBcc: victim@example.com"}
    with pytest.raises(InvalidAddressError):
        handle(resources, event(CONFIRMED))
    assert catcher.mails == []


def test_a_malicious_name_does_not_change_headers(resources: Resources, users: Users, catcher: Catcher) -> None:
    users.contacts[CUSTOMER] = {"username": "x\r\nBcc: victim@example.com", "email": ADDRESS}
    handle(resources, event(CONFIRMED))
    assert catcher.mails[0]["Bcc"] is None
    assert catcher.recipients == [ADDRESS]


def test_events_are_dropped_without_a_mail_server(store: Store) -> None:
    before = counted("confirmed", "off")
    assert handle(None, event(CONFIRMED)) == "done"
    assert counted("confirmed", "off") == before + 1
    assert store["mails"].count_documents({}) == 0


def test_an_unexpected_error_reveals_no_address(
    resources: Resources, make_server: Callable[..., MailServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server("smtp://127.0.0.1:1")

    def fail(*_: object) -> None:
        raise KeyError(ADDRESS)

    monkeypatch.setattr(server, "send", fail)
    with pytest.raises(Exception, match="KeyError") as caught:
        handle(replace(resources, server=server), event(CONFIRMED))
    assert ADDRESS not in repr(caught.value)
    assert caught.value.__suppress_context__
