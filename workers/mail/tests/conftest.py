"""A mail server, a users service, an empty database, and the handlers' resources."""

from __future__ import annotations

from dataclasses import replace
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import pytest

from common.resilience.circuit_breaker import Breaker
from common.storage.mongodb import connect
from workers.mail import smtp_sessions
from workers.mail.consumers import Resources
from workers.mail.contacts import Contacts, ContactSettings
from workers.mail.mail_server import MailServer, MailSettings
from workers.mail.sent_mails import SentMails
from workers.mail.tests.catching import THREADS, TOKEN, catching, users_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo.database import Database

    from workers.mail.tests.catching import Catcher, Users


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    with catching() as found:
        yield found


@pytest.fixture
def users() -> Iterator[Users]:
    with users_service() as found:
        yield found


@pytest.fixture
def make_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MailServer]]:
    """Sessions are kept until the end: tests count them, however slow the machine is."""
    monkeypatch.setattr(smtp_sessions, "IDLE_SECONDS", 1_000.0)
    monkeypatch.setattr(smtp_sessions, "MAX_SECONDS", 1_000.0)
    made: list[MailServer] = []

    def make(url: str, **changes: Any) -> MailServer:
        settings = MailSettings(smtp_url=url, mail_from="Shop <orders@shop.example>", smtp_timeout_seconds=120)
        made.append(MailServer(replace(settings, **changes), Breaker("mail_server", max_failures=1000)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def make_contacts() -> Iterator[Callable[..., Contacts]]:
    made: list[Contacts] = []

    def make(url: str, **changes: Any) -> Contacts:
        settings = ContactSettings(users_url=url, contact_tokens=f"{TOKEN},{'n' * 32}", users_timeout_seconds=60)
        made.append(Contacts(replace(settings, **changes), Breaker("users", max_failures=1000)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def store(document_store: str) -> Iterator[Database[dict[str, Any]]]:
    database = connect(document_store, timeout_seconds=60, name="test-mail", pool_size=10)
    yield database
    database.client.close()


@pytest.fixture
def resources(
    store: Database[dict[str, Any]],
    catcher: Catcher,
    users: Users,
    make_server: Callable[..., MailServer],
    make_contacts: Callable[..., Contacts],
) -> Resources:
    sent = SentMails(store, lease_seconds=600)
    return Resources(sent, make_contacts(users.url), make_server(catcher.url), Semaphore(THREADS))
