"""One worker at a time works on a mail, and a mail that is finished stays so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.inbox import AlreadyHandled
from common.storage.mongodb import connect
from common.tests.tcp_proxy import Link
from workers.mail.sent_mails import MailInHandError, SentMails, Status

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.integration
IDS = {"event_id": "e-1", "message_id": "<e-1@shop.example>"}


def test_of_many_one_takes_it(store: Database[dict[str, Any]]) -> None:
    sent, start = SentMails(store, lease_seconds=60), threading.Barrier(8)

    def attempt(_: int) -> str:
        start.wait()
        try:
            return sent.claim("o-1/confirmed", **IDS).message_id
        except MailInHandError:
            return "in hand"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(attempt, range(8)))
    assert outcomes == ["<e-1@shop.example>", *["in hand"] * 7]


def test_a_finished_mail_is_not_begun_again(store: Database[dict[str, Any]]) -> None:
    sent = SentMails(store, lease_seconds=0)
    sent.finish(sent.claim("o-1/confirmed", **IDS), Status.SENT)
    with pytest.raises(AlreadyHandled):
        sent.claim("o-1/confirmed", event_id="e-2", message_id="<e-2@shop.example>")
    sent.claim("o-1/cancelled", **IDS)


def test_a_lease_that_ran_out_or_was_given_back_is_taken_under_the_same_name(store: Database[dict[str, Any]]) -> None:
    dead = SentMails(store, lease_seconds=0).claim("o-1/confirmed", **IDS)
    sent = SentMails(store, lease_seconds=60)
    second = sent.claim("o-1/confirmed", event_id="e-2", message_id="<e-2@shop.example>")
    assert second.message_id == "<e-1@shop.example>"
    SentMails(store, lease_seconds=60).finish(dead, Status.SENT)  # it is nobody's any more
    with pytest.raises(MailInHandError):
        sent.claim("o-1/confirmed", **IDS)
    sent.release(second, "450")
    assert sent.claim("o-1/confirmed", **IDS).message_id == "<e-1@shop.example>"


def test_the_end_is_recorded_after_a_short_outage(document_store: str, store: Database[dict[str, Any]]) -> None:
    with Link(document_store) as link:
        database = connect(link.url, timeout_seconds=1, name="test-mail", pool_size=5)
        sent = SentMails(database, lease_seconds=60)
        claim = sent.claim("o-1/confirmed", **IDS)
        link.cut()
        timer = threading.Timer(2.0, link.restore)
        timer.start()
        sent.finish(claim, Status.SENT)
        timer.join()
        database.client.close()
    found = store["mails"].find_one()
    assert found
    assert found["status"] == Status.SENT
