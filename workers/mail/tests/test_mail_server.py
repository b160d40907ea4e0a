"""Replies of the mail server, from a real SMTP server."""

from __future__ import annotations

import socket
import threading
import time
from email.headerregistry import Address
from typing import TYPE_CHECKING

import pytest

from common.errors import Rejected, Unavailable, Undecided, classify
from common.tests.ports import free_port
from workers.mail.contacts import Contact
from workers.mail.mail_server import MailDeferredError, MailRefusedError, MailServer, MailServerUnavailableError
from workers.mail.messages import make_mail
from workers.mail.tests.catching import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.mail.tests.catching import Catcher

ORDER = {"order_id": "01928f6e-7c1a-7b30-9a55-3c1d0e5f7a10", "total": {"amount": 4648, "currency": "usd"}}


def mail() -> bytes:
    sender = Address("Shop", addr_spec="orders@shop.example")
    return make_mail("confirmed", ORDER, Contact(".\n.", ADDRESS), sender=sender, message_id="<1@shop.example>")


def test_a_mail_is_sent_to_one_recipient(catcher: Catcher, make_server: Callable[..., MailServer]) -> None:
    server = make_server(catcher.url)
    server.probe()
    server.send(mail(), ADDRESS)
    assert catcher.recipients == [ADDRESS]
    [received] = catcher.mails
    assert received["Message-ID"] == "<1@shop.example>"
    assert received.get_content().startswith("Hello . .,\r\n\r\nyour order ")


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (("recipient", "550 5.1.1 <{address}>: no such user"), MailRefusedError, "550 5.1.1"),
        (("recipient", "553 what is {address}"), MailRefusedError, "553"),
        (("recipient", "450 4.7.1 <{address}>: greylisted"), MailDeferredError, "450 4.7.1"),
        (("recipient", "452 4.2.2 mailbox full"), MailDeferredError, "452 4.2.2"),
        (("recipient", "452 4.3.1 no space left for {address}"), MailServerUnavailableError, "452 4.3.1"),
        (("recipient", "421 closing"), MailServerUnavailableError, "421"),
        (("content", "554 5.7.1 spam for {address}"), MailRefusedError, "554 5.7.1"),
        (("content", "451 4.7.1 later"), MailDeferredError, "451 4.7.1"),
        (("sender", "550 5.7.1 not you"), MailServerUnavailableError, "550 5.7.1"),
        (("sender", "451 4.3.0 later"), MailServerUnavailableError, "451 4.3.0"),
    ],
)
def test_a_response_affects_one_mail_or_all(
    catcher: Catcher, make_server: Callable[..., MailServer], answer: tuple[str, str], kind: type[Exception], text: str
) -> None:
    setattr(catcher, *answer)
    with pytest.raises(kind, match=text) as caught:
        make_server(catcher.url).send(mail(), ADDRESS)
    assert ADDRESS not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert catcher.mails == []


def test_the_errors_belong_to_the_error_tree() -> None:
    found = [classify(kind("")) for kind in (MailRefusedError, MailDeferredError, MailServerUnavailableError)]
    assert found == [Rejected, Undecided, Unavailable]


def test_a_rejected_sender_fails_the_probe(catcher: Catcher, make_server: Callable[..., MailServer]) -> None:
    catcher.sender = "550 5.7.1 not you"
    with pytest.raises(MailServerUnavailableError):
        make_server(catcher.url).probe()


def test_an_unreachable_server_is_an_outage(make_server: Callable[..., MailServer]) -> None:
    with pytest.raises(MailServerUnavailableError, match="ConnectionRefusedError"):
        make_server(f"smtp://127.0.0.1:{free_port()}").probe()


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_no_mail_is_sent_without_required_tls(
    catcher: Catcher, make_server: Callable[..., MailServer], scheme: str
) -> None:
    server = make_server(catcher.url.replace("smtp:", f"{scheme}:"), smtp_timeout_seconds=2)
    with pytest.raises(MailServerUnavailableError):
        server.send(mail(), ADDRESS)
    assert catcher.mails == []


@pytest.mark.parametrize("greeting", [b"", b"220-x\r\n", b"554 no service\r\n", b"\xff\xfe nonsense\r\n"])
def test_a_session_ends_in_time_with_any_server_behaviour(
    make_server: Callable[..., MailServer], greeting: bytes
) -> None:
    """The server is silent, sends an endless greeting, rejects, or is not an SMTP server."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while not ending.wait(0.1):
                        connection.sendall(greeting)
                except OSError:
                    return

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        started = time.monotonic()
        with pytest.raises(MailServerUnavailableError):
            make_server(f"smtp://127.0.0.1:{listener.getsockname()[1]}", smtp_timeout_seconds=1).probe()
        assert time.monotonic() - started < 60
        ending.set()
        thread.join()
