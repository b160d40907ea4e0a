"""The sent mails: one document for each order and kind of mail, in the worker's own database.

Guarantee: one worker at a time handles a mail (a lease), and a finished mail is not sent again. If a worker dies
between the server's response and `finish`, its lease expires: then the mail is sent again with the same Message-ID
(docs/decisions/0024). No document contains an address.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.errors import Unavailable, Undecided, classify
from common.messaging.events import new_id, utc_now
from common.messaging.inbox import AlreadyHandled

if TYPE_CHECKING:
    from pymongo.database import Database

COLLECTION = "mails"
KEPT_SECONDS = 400 * 86_400
FINISH_SECONDS, PAUSE_SECONDS = 10.0, 0.5
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    OPEN = "open"
    SENT = "sent"
    NO_ADDRESS = "no_address"


class MailInHandError(Undecided):
    """Another worker is sending this mail, or died: its lease will expire."""

    code = "mail_in_hand"


@dataclass(frozen=True, slots=True)
class Claim:
    """A mail claimed by this worker for a while."""

    id: str
    lease_id: str
    message_id: str


class SentMails:
    """Thread-safe. Raises pymongo's errors."""

    def __init__(self, database: Database[dict[str, Any]], *, lease_seconds: float) -> None:
        self._mails = database[COLLECTION]
        self._lease_seconds = lease_seconds
        self._is_indexed = False

    def claim(self, mail_id: str, *, event_id: str, message_id: str) -> Claim:
        """Claim the mail. Raises `AlreadyHandled` if it is finished, `MailInHandError` if another worker has it."""
        self._prepare()
        now = utc_now()
        lease_id = new_id()
        try:
            found: Any = self._mails.find_one_and_update(
                {"_id": mail_id, "status": Status.OPEN, "leased_until": {"$lte": now}},
                {
                    "$set": {"leased_until": now + timedelta(seconds=self._lease_seconds), "lease_id": lease_id},
                    "$inc": {"attempts": 1},
                    "$setOnInsert": {"event_id": event_id, "message_id": message_id, "begun_at": now},
                },
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            known = self._mails.find_one({"_id": mail_id}, {"status": 1})
            if known and known["status"] != Status.OPEN:
                raise AlreadyHandled from None
            raise MailInHandError("another worker is sending this mail") from None
        return Claim(mail_id, lease_id, found["message_id"])

    def finish(self, claim: Claim, status: Status) -> None:
        """Record the end; while MongoDB is down, retry for `FINISH_SECONDS`: the mail may already be sent."""
        deadline = time.monotonic() + FINISH_SECONDS
        values = {"status": status, "finished_at": utc_now(), "leased_until": LONG_AGO}
        while True:
            try:
                self._mails.update_one({"_id": claim.id, "lease_id": claim.lease_id}, {"$set": values})
            except Exception as error:
                if classify(error) is not Unavailable or time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_SECONDS)
            else:
                return

    def release(self, claim: Claim, reason: str) -> None:
        """Release it: it was not sent, or the outcome is unknown. The next try may begin at once."""
        values = {"leased_until": LONG_AGO, "last_failure": reason}
        self._mails.update_one({"_id": claim.id, "lease_id": claim.lease_id}, {"$set": values})

    def _prepare(self) -> None:
        if not self._is_indexed:
            self._mails.create_index(
                [("begun_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS
            )  # idempotent
            self._is_indexed = True
