"""Sends several mails at once: one write claims them, one request reads their addresses, `threads` sessions send them.

Guarantees: each mail is recorded when the server has accepted it, before its thread sends another one; so a crash
repeats at most `threads` mails, as it does without batches. A mail that fails does not affect the others: its claim is
released and its event is handled alone, which decides the outcome. The same applies to mails that were already claimed,
and to the rest after an outage, or when the leases of this batch are about to expire.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.errors import Unavailable, classify
from common.messaging.event_spans import delivering
from common.messaging.events import InvalidEventError
from common.observability.logs import logger
from common.resilience.crash_points import crash_point
from workers.mail.consumers import drop, read_mail, record, send
from workers.mail.contacts import MAX_USERS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from concurrent.futures import Future

    from common.messaging.inbox import Delivery
    from workers.mail.consumers import OrderMail, Resources
    from workers.mail.contacts import Contact
    from workers.mail.sent_mails import Claim

MAX_MAILS = MAX_USERS
_log = logger(__name__)


@dataclass(slots=True)
class _Item:
    """A delivery, its mail and its claim."""

    delivery: Delivery
    mail: OrderMail
    claim: Claim
    is_sent: bool = False
    is_recorded: bool = False


@dataclass(slots=True)
class _Batch:
    """What its threads share. No mail is begun after `until`."""

    contacts: Mapping[str, Contact | None]
    until: float
    due: deque[_Item] = field(default_factory=deque)


class MailBatches:
    """Handles at most `MAX_MAILS` events at once; a mail is begun at most `begin_seconds` after its claim.

    Without `resources` there is no mail server: nothing is claimed or sent.
    """

    def __init__(self, resources: Resources | None, *, threads: int, begin_seconds: float) -> None:
        self._resources, self._begin_seconds = resources, begin_seconds
        self._helpers = threads - 1  # the thread of the batch itself sends as well
        self._pool = ThreadPoolExecutor(max(1, self._helpers), thread_name_prefix="mail")

    def handle(self, deliveries: Sequence[Delivery]) -> list[bool | None]:
        """Which took effect now; None for those to be handled alone.

        If it raises, all of them are: a mail that was recorded before is a duplicate then.
        """
        mails = {index: mail for index, each in enumerate(deliveries) if (mail := _read(each)) is not None}
        if self._resources is None:
            for mail in mails.values():
                drop(mail)
            return [True if index in mails else None for index in range(len(deliveries))]
        until = time.monotonic() + self._begin_seconds
        items = self._claim(self._resources, deliveries, mails)
        if items:
            self._send_all(self._resources, items.values(), until)
        return [True if index in items and items[index].is_recorded else None for index in range(len(deliveries))]

    def _claim(
        self, resources: Resources, deliveries: Sequence[Delivery], mails: Mapping[int, OrderMail]
    ) -> dict[int, _Item]:
        claims = resources.sent.claim_new([mail.to_claim(resources) for mail in mails.values()]) if mails else []
        return {
            index: _Item(deliveries[index], mail, claim)
            for (index, mail), claim in zip(mails.items(), claims, strict=True)
            if claim is not None
        }

    def _send_all(self, resources: Resources, items: Collection[_Item], until: float) -> None:
        crash_point("mail.claimed")
        try:
            contacts = resources.contacts.get_several([item.mail.order["customer_id"] for item in items])
            self._send_in_threads(resources, _Batch(contacts, until, deque(items)))
        finally:
            if unsent := [item.claim for item in items if not item.is_sent]:
                with suppress(Exception):  # then their leases expire
                    resources.sent.release(unsent, "not sent in its batch")

    def _send_in_threads(self, resources: Resources, batch: _Batch) -> None:
        """Returns, or raises, when no thread sends any more."""
        running: list[Future[None]] = []
        try:
            for _ in range(min(self._helpers, len(batch.due) - 1)):
                running.append(self._pool.submit(self._send_due, resources, batch))  # noqa: PERF401 - if one fails, the others are waited for
            self._send_due(resources, batch)
        finally:
            wait(running)

    def _send_due(self, resources: Resources, batch: _Batch) -> None:
        """One of the threads: it takes the next mail when the one before is recorded."""
        while batch.due:
            with resources.in_hand:
                if time.monotonic() >= batch.until:
                    return
                try:
                    item = batch.due.popleft()
                except IndexError:
                    return
                self._send(resources, batch, item)

    def _send(self, resources: Resources, batch: _Batch, item: _Item) -> None:
        with delivering(item.delivery.consumer, item.delivery.event) as span:
            try:
                status = send(item.mail, item.claim, resources, batch.contacts)
                item.is_sent = True
                record(item.mail, item.claim, status, resources)
                item.is_recorded = True
            except Exception as error:  # noqa: BLE001 - alone, the event meets it again, and is retried or parked
                span.fail(error)
                _log.info("mail not sent or not recorded in its batch", error=repr(error))
                if classify(error) is Unavailable:
                    batch.due.clear()  # it would be the same for each of them


def _read(delivery: Delivery) -> OrderMail | None:
    try:
        return read_mail(delivery.event)
    except InvalidEventError:
        return None
