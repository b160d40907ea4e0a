"""The mail catcher as a process: it shows received mails."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import time
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
import requests

from common.tests.ports import free_port
from infrastructure.mail_catcher.mailbox import MAX_MAILS, Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """The SMTP and HTTP ports of a mail catcher."""
    smtp, http = free_port(), free_port()
    environment = {"PATH": os.environ["PATH"], "SERVICE_PORT": str(http), "SMTP_PORT": str(smtp)}
    process = subprocess.Popen([sys.executable, "-m", "infrastructure.mail_catcher.main"], env=environment)
    try:
        deadline = time.monotonic() + SECONDS
        while not answers(smtp, http):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield smtp, http
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0


def answers(smtp: int, http: int) -> bool:
    try:
        smtplib.SMTP("127.0.0.1", smtp, timeout=60).quit()
        return requests.get(f"http://127.0.0.1:{http}/livez", timeout=60).ok
    except OSError:
        return False


def mail(recipient: str, text: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "shop@example.com", recipient, "News"
    made.set_content(text)
    return made


def test_received_mails_are_listed_newest_first(ports: tuple[int, int]) -> None:
    smtp, http = ports
    with smtplib.SMTP("127.0.0.1", smtp, timeout=60) as client:
        for recipient in ("a@example.com", "b@example.com"):
            client.send_message(mail(recipient, f"Hello {recipient}, schön"))
    url = f"http://127.0.0.1:{http}/mails"
    found = requests.get(url, timeout=60).json()
    assert [each["recipients"] for each in found] == [["b@example.com"], ["a@example.com"]]
    [shown] = requests.get(url, params={"to": "a@example.com"}, timeout=60).json()
    assert shown["text"] == "Hello a@example.com, schön\n"
    assert (shown["sender"], shown["headers"]["Subject"]) == ("shop@example.com", "News")
    assert requests.get(f"http://127.0.0.1:{http}/other", timeout=60).status_code == 404


def test_the_number_of_stored_mails_is_bounded() -> None:
    mailbox = Mailbox()
    for number in range(MAX_MAILS + 1):
        mailbox.keep("shop@example.com", [str(number)], b"Subject: News\r\n\r\n")
    assert len(mailbox.mails()) == MAX_MAILS
    assert mailbox.mails("0") == []


def test_a_malformed_mail_is_shown_as_received() -> None:
    mailbox = Mailbox()
    mailbox.keep("shop@example.com", ["a@example.com"], b"Content-Type: text/plain; charset=none\r\n\r\nHello")
    [shown] = mailbox.mails()
    assert shown["text"].endswith("\n\nHello")
