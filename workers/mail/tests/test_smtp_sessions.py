"""Sessions with a real SMTP server that serve several mails, and what ends them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from workers.mail import smtp_sessions
from workers.mail.mail_server import MailRefusedError, MailServer, MailServerUnavailableError
from workers.mail.tests.catching import ADDRESS
from workers.mail.tests.test_mail_server import mail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.mail.tests.catching import Catcher

SECONDS = 60.0


@pytest.fixture
def server(catcher: Catcher, make_server: Callable[..., MailServer]) -> Iterator[MailServer]:
    server = make_server(catcher.url)
    yield server
    server.close()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_mails_share_a_session(catcher: Catcher, server: MailServer) -> None:
    for _ in range(5):
        server.send(mail(), ADDRESS)
    assert (len(catcher.mails), len(catcher.sessions)) == (5, 1)


def test_concurrent_mails_use_separate_sessions(catcher: Catcher, server: MailServer) -> None:
    catcher.delay_seconds = 0.1
    for _ in range(2):  # the second time in kept sessions
        threads = [threading.Thread(target=server.send, args=(mail(), ADDRESS)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert catcher.recipients == [ADDRESS] * 16
    assert len(catcher.sessions) <= 8


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
def test_a_kept_session_that_ends_before_the_mail_is_sent_is_not_an_outage(
    catcher: Catcher, server: MailServer, command: str
) -> None:
    server.send(mail(), ADDRESS)
    catcher.closes_at = command
    server.send(mail(), ADDRESS)
    assert (len(catcher.mails), len(catcher.sessions)) == (2, 2)


def test_a_closed_kept_session_is_not_an_outage(catcher: Catcher, server: MailServer) -> None:
    server.send(mail(), ADDRESS)
    catcher.hang_up()
    server.send(mail(), ADDRESS)
    assert (len(catcher.mails), len(catcher.sessions)) == (2, 2)


@pytest.mark.parametrize("replies", [{"limit": 2}, {"recipient": "421 4.7.0 timeout"}])
def test_a_kept_session_that_rejects_another_mail_is_not_an_outage(
    catcher: Catcher, server: MailServer, replies: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        server.send(mail(), ADDRESS)
    opened = MailServer._open

    def reopen(self: MailServer, client: object) -> None:
        opened(self, client)  # type: ignore[arg-type]
        catcher.limit, catcher.recipient = 1_000, ""

    monkeypatch.setattr(MailServer, "_open", reopen)
    for name, value in replies.items():
        setattr(catcher, name, value)
    server.send(mail(), ADDRESS)
    assert (len(catcher.mails), len(catcher.sessions)) == (3, 2)


def test_a_mail_is_not_repeated_after_its_content_was_sent(catcher: Catcher, server: MailServer) -> None:
    """The outcome is unknown, so the event is retried later."""
    server.send(mail(), ADDRESS)
    catcher.closes_at = "DATA"
    with pytest.raises(MailServerUnavailableError):
        server.send(mail(), ADDRESS)
    assert (len(catcher.mails), len(catcher.sessions)) == (2, 1)
    server.send(mail(), ADDRESS)
    assert (len(catcher.mails), len(catcher.sessions)) == (3, 2)


def test_a_failing_new_session_is_an_outage(catcher: Catcher, server: MailServer) -> None:
    server.send(mail(), ADDRESS)
    catcher.sender = "550 5.7.1 not you"
    with pytest.raises(MailServerUnavailableError, match="550"):
        server.send(mail(), ADDRESS)
    catcher.stop()
    with pytest.raises(MailServerUnavailableError, match="ConnectionRefusedError"):
        server.send(mail(), ADDRESS)
    assert len(catcher.mails) == 1


@pytest.mark.parametrize("step", ["recipient", "content"])
def test_a_rejected_mail_does_not_affect_the_next_one(catcher: Catcher, server: MailServer, step: str) -> None:
    server.send(mail(), ADDRESS)
    setattr(catcher, step, "550 5.1.1 no such user")
    with pytest.raises(MailRefusedError):
        server.send(mail(), ADDRESS)
    setattr(catcher, step, "")
    for _ in range(2):
        server.send(mail(), ADDRESS)
    assert catcher.recipients == [ADDRESS] * 3


def test_a_surplus_reply_is_not_read_as_the_next_one(catcher: Catcher, server: MailServer) -> None:
    """Otherwise an unsent mail would count as sent."""
    catcher.surplus = "250 OK"
    server.send(mail(), ADDRESS)
    with pytest.raises(MailServerUnavailableError):
        server.send(mail(), ADDRESS)
    server.send(mail(), ADDRESS)
    assert len(catcher.mails) == 2


@pytest.mark.parametrize(("name", "value"), [("MAX_MAILS", 2), ("MAX_SECONDS", 0.0)])
def test_a_session_has_a_maximum_number_of_mails_and_age(
    catcher: Catcher, server: MailServer, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    monkeypatch.setattr(smtp_sessions, name, value)
    for _ in range(4):
        server.send(mail(), ADDRESS)
    expected = 2 if name == "MAX_MAILS" else 4
    assert (len(catcher.mails), len(catcher.sessions)) == (4, expected)
    eventually(lambda: catcher.quits == expected)


def test_an_idle_session_is_closed(catcher: Catcher, server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_sessions, "IDLE_SECONDS", 0.1)
    server.send(mail(), ADDRESS)
    eventually(lambda: catcher.quits == 1)
    eventually(lambda: "smtp-sessions" not in [each.name for each in threading.enumerate()])
    server.send(mail(), ADDRESS)
    assert len(catcher.sessions) == 2


def test_mails_are_sent_in_new_sessions_after_shutdown(catcher: Catcher, server: MailServer) -> None:
    server.send(mail(), ADDRESS)
    server.close()
    eventually(lambda: catcher.quits == 1)
    server.send(mail(), ADDRESS)
    eventually(lambda: catcher.quits == 2)
    assert len(catcher.mails) == 2


def test_a_server_that_stops_responding_is_an_outage_in_time(catcher: Catcher, server: MailServer) -> None:
    server.send(mail(), ADDRESS)
    patience, server._seconds = server._seconds, 1.0  # for one mail: the others may take longer on a busy machine
    catcher.delay_seconds = 30.0
    with pytest.raises(MailServerUnavailableError):
        server.send(mail(), ADDRESS)
    catcher.delay_seconds, server._seconds = 0.0, patience
    server.send(mail(), ADDRESS)
    assert len(catcher.mails) == 2
