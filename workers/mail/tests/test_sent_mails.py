"""One worker at a time handles a mail, and a finished mail is never sent again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import PyMongoError

from common.errors import Unavailable, classify
from common.messaging.inbox import AlreadyHandled
from common.storage.mongodb import connect
from common.tests.tcp_proxy import Link
from workers.mail import sent_mails
from workers.mail.sent_mails import Claim, MailInHandError, NewMail, SentMails, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.database import Database

pytestmark = pytest.mark.integration


def new_mail(mail_id: str = "o-1/confirmed", event_id: str = "e-1") -> NewMail:
    return NewMail(id=mail_id, event_id=event_id, message_id=f"<{event_id}@shop.example>")


def test_one_of_many_workers_claims_a_mail(store: Database[dict[str, Any]]) -> None:
    sent, start = SentMails(store, lease_seconds=60), threading.Barrier(8)

    def attempt(_: int) -> str:
        start.wait()
        try:
            return sent.claim(new_mail()).message_id
        except MailInHandError:
            return "in hand"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(attempt, range(8)))
    assert outcomes == ["<e-1@shop.example>", *["in hand"] * 7]


def test_a_finished_mail_is_not_claimed_again(store: Database[dict[str, Any]]) -> None:
    sent = SentMails(store, lease_seconds=0)
    sent.finish(sent.claim(new_mail()), Status.SENT)
    with pytest.raises(AlreadyHandled):
        sent.claim(new_mail(event_id="e-2"))
    sent.claim(new_mail("o-1/cancelled"))


def test_an_expired_or_released_lease_is_claimed_with_the_same_message_id(store: Database[dict[str, Any]]) -> None:
    dead = SentMails(store, lease_seconds=0).claim(new_mail())
    sent = SentMails(store, lease_seconds=60)
    second = sent.claim(new_mail(event_id="e-2"))
    assert second.message_id == "<e-1@shop.example>"
    SentMails(store, lease_seconds=60).finish(dead, Status.SENT)  # its lease has expired
    with pytest.raises(MailInHandError):
        sent.claim(new_mail())
    sent.release([second], "450")
    assert sent.claim(new_mail()).message_id == "<e-1@shop.example>"


@pytest.mark.parametrize("mails", [1, 5])
def test_a_sent_mail_is_recorded_after_a_short_outage(
    document_store: str, store: Database[dict[str, Any]], mails: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_mails, "FINISH_SECONDS", 60.0)  # on a busy machine the outage is longer
    claims = SentMails(store, lease_seconds=600).claim_new([new_mail(f"o-{each}/confirmed") for each in range(mails)])
    with Link(document_store) as link:
        database = impatient(link.url)
        sent = SentMails(database, lease_seconds=600)
        link.cut()
        timer = threading.Timer(2.0, link.restore)
        timer.start()
        finish_at_once(sent, claims)
        timer.join()
        database.client.close()
    assert store["mails"].count_documents({"status": Status.SENT}) == mails


def test_new_mails_are_claimed_together_and_known_ones_are_skipped(store: Database[dict[str, Any]]) -> None:
    sent = SentMails(store, lease_seconds=60)
    sent.finish(sent.claim(new_mail("o-1/confirmed")), Status.SENT)
    sent.claim(new_mail("o-2/confirmed"))
    mails = [new_mail(f"o-{number}/confirmed", "e-2") for number in (0, 1, 2, 3, 3)]
    first, finished, leased, last, repeated = sent.claim_new(mails)
    assert (finished, leased, repeated) == (None, None, None)
    assert first
    assert last
    assert first.message_id == "<e-2@shop.example>"
    with pytest.raises(MailInHandError):
        sent.claim(mails[0])
    sent.release([first, last], "450")
    assert [sent.claim(new_mail(f"o-{number}/confirmed", "e-3")).message_id for number in (0, 3)] == [
        "<e-2@shop.example>"
    ] * 2
    alone, together = (store["mails"].find_one({"_id": f"o-{number}/confirmed"}) for number in (2, 3))
    assert alone
    assert together
    assert alone.keys() | {"last_failure"} == together.keys()


def test_one_of_many_batches_claims_a_mail(store: Database[dict[str, Any]]) -> None:
    sent, start = SentMails(store, lease_seconds=60), threading.Barrier(8)
    mails = [new_mail(f"o-{number}/confirmed") for number in range(20)]

    def attempt(_: int) -> list[str]:
        start.wait()
        return [claim.id for claim in sent.claim_new(mails) if claim]

    with ThreadPoolExecutor(8) as pool:
        claimed = [mail_id for each in pool.map(attempt, range(8)) for mail_id in each]
    assert sorted(claimed) == sorted(mail.id for mail in mails)


def test_failed_claims_are_an_outage_and_claim_nothing(document_store: str, store: Database[dict[str, Any]]) -> None:
    mails = [new_mail(f"o-{number}/confirmed") for number in range(3)]
    with Link(document_store) as link:
        database = impatient(link.url)
        sent = SentMails(database, lease_seconds=60)
        sent._is_indexed = True  # the claims themselves fail
        link.cut()
        with pytest.raises(PyMongoError) as caught:
            sent.claim_new(mails)
        link.restore()
        database.client.close()
    assert classify(caught.value) is Unavailable
    assert all(SentMails(store, lease_seconds=60).claim_new(mails))


def test_concurrent_ends_are_recorded_except_those_of_lost_leases(
    store: Database[dict[str, Any]],
) -> None:
    sent = SentMails(store, lease_seconds=0)
    mails = [new_mail(f"o-{number}/confirmed") for number in range(12)]
    claims = [claim for claim in sent.claim_new(mails) if claim]
    stolen = {sent.claim(mail).id for mail in mails[:3]}
    finish_at_once(sent, claims)
    found = {each["_id"]: each["status"] for each in store["mails"].find()}
    assert found == {mail.id: Status.OPEN if mail.id in stolen else Status.SENT for mail in mails}


def impatient(url: str) -> Database[dict[str, Any]]:
    """A connected client with a short time-out, which the connection itself may exceed on a busy machine."""
    database = connect(url, timeout_seconds=1, name="test-mail", pool_size=5)
    deadline = time.monotonic() + 60
    while True:
        try:
            database.command("ping")
        except PyMongoError:
            assert time.monotonic() < deadline
        else:
            return database


def finish_at_once(sent: SentMails, claims: Sequence[Claim | None]) -> None:
    start = threading.Barrier(len(claims))

    def finish(claim: Claim | None) -> None:
        start.wait()
        assert claim
        sent.finish(claim, Status.SENT)

    with ThreadPoolExecutor(len(claims)) as pool:
        list(pool.map(finish, claims))
