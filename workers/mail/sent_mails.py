"""The sent mails: one document for each order and kind of mail, in the worker's own database.

Guarantee: one worker at a time handles a mail (a lease), and a finished mail is not sent again. If a worker dies
between the server's response and `finish`, its lease expires: then the mail is sent again with the same Message-ID
(docs/decisions/0024). Mails that end at the same time in several threads are recorded with one write. No document
contains an address.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError

from common.errors import Unavailable, Undecided, classify
from common.messaging.events import new_id, utc_now
from common.messaging.inbox import AlreadyHandled
from workers.mail.grouped_writes import GroupedWrites

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.database import Database

COLLECTION = "mails"
KEPT_SECONDS = 400 * 86_400
FINISH_SECONDS, PAUSE_SECONDS = 10.0, 0.5
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_DUPLICATE_KEY = 11000


class Status(StrEnum):
    OPEN = "open"
    SENT = "sent"
    NO_ADDRESS = "no_address"


class MailInHandError(Undecided):
    """Another worker is sending this mail, or died: its lease will expire."""

    code = "mail_in_hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMail:
    """A mail to be claimed. `id` is not that of the event: another event about the same change must find it."""

    id: str
    event_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A mail claimed by this worker for a while."""

    id: str
    lease_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class _End:
    claim: Claim
    status: Status
    deadline: float = field(default_factory=lambda: time.monotonic() + FINISH_SECONDS)


class SentMails:
    """Thread-safe. Raises pymongo's errors."""

    def __init__(self, database: Database[dict[str, Any]], *, lease_seconds: float) -> None:
        self._mails = database[COLLECTION]
        self._lease_seconds = lease_seconds
        self._is_indexed = False
        self._ends = GroupedWrites(self._record)

    def claim(self, mail: NewMail) -> Claim:
        """Claim the mail. Raises `AlreadyHandled` if it is finished, `MailInHandError` if another worker has it."""
        self._prepare()
        now = utc_now()
        lease_id = new_id()
        try:
            found: Any = self._mails.find_one_and_update(
                {"_id": mail.id, "status": Status.OPEN, "leased_until": {"$lte": now}},
                {
                    "$set": {"leased_until": self._lease_end(now), "lease_id": lease_id},
                    "$inc": {"attempts": 1},
                    "$setOnInsert": {"event_id": mail.event_id, "message_id": mail.message_id, "begun_at": now},
                },
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            known = self._mails.find_one({"_id": mail.id}, {"status": 1})
            if known and known["status"] != Status.OPEN:
                raise AlreadyHandled from None
            raise MailInHandError("another worker is sending this mail") from None
        return Claim(mail.id, lease_id, found["message_id"])

    def claim_new(self, mails: Sequence[NewMail]) -> list[Claim | None]:
        """Claim several mails with one write; None for one that exists already, finished or not.

        If it raises, none of them is claimed, or their leases expire.
        """
        self._prepare()
        claims = [Claim(mail.id, new_id(), mail.message_id) for mail in mails]
        pairs = zip(mails, claims, strict=True)
        try:
            self._mails.insert_many([self._document(mail, claim) for mail, claim in pairs], ordered=False)
        except BulkWriteError as error:
            if known := _duplicates(error):
                return [None if index in known else claim for index, claim in enumerate(claims)]
            self._give_up(claims)
            raise
        except Exception:
            self._give_up(claims)
            raise
        return list(claims)

    def finish(self, claim: Claim, status: Status) -> None:
        """Record the end; while MongoDB is down, retry for `FINISH_SECONDS`: the mail may already be sent."""
        self._ends.add(_End(claim, status))

    def release(self, claims: Sequence[Claim], reason: str) -> None:
        """Release them: they were not sent, or the outcome is unknown. The next try may begin at once."""
        self._update(claims, {"leased_until": LONG_AGO, "last_failure": reason})

    def _record(self, ends: Sequence[_End]) -> None:
        deadline = min(end.deadline for end in ends)
        for status in {end.status for end in ends}:
            claims = [end.claim for end in ends if end.status is status]
            values = {"status": status, "finished_at": utc_now(), "leased_until": LONG_AGO}
            while True:
                try:
                    self._update(claims, values)
                except Exception as error:
                    if classify(error) is not Unavailable or time.monotonic() > deadline:
                        raise
                    time.sleep(PAUSE_SECONDS)
                else:
                    break

    def _update(self, claims: Sequence[Claim], values: dict[str, Any]) -> None:
        """Update the claims that still hold their lease; no two claims share a `lease_id`."""
        if len(claims) == 1:  # which the driver repeats by itself if a connection breaks
            [claim] = claims
            self._mails.update_one({"_id": claim.id, "lease_id": claim.lease_id}, {"$set": values})
            return
        ids, leases = [claim.id for claim in claims], [claim.lease_id for claim in claims]
        self._mails.update_many({"_id": {"$in": ids}, "lease_id": {"$in": leases}}, {"$set": values})

    def _give_up(self, claims: Sequence[Claim]) -> None:
        with suppress(Exception):  # then their leases expire
            self.release(claims, "not claimed")

    def _document(self, mail: NewMail, claim: Claim) -> dict[str, Any]:
        now = utc_now()
        return {
            "_id": mail.id,
            "status": Status.OPEN,
            "leased_until": self._lease_end(now),
            "lease_id": claim.lease_id,
            "attempts": 1,
            "event_id": mail.event_id,
            "message_id": mail.message_id,
            "begun_at": now,
        }

    def _lease_end(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._lease_seconds)

    def _prepare(self) -> None:
        if not self._is_indexed:
            self._mails.create_index(
                [("begun_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS
            )  # idempotent
            self._is_indexed = True


def _duplicates(error: BulkWriteError) -> set[int]:
    """Return the indexes of existing mails; empty if there is any other error."""
    failures = (error.details or {}).get("writeErrors", [])
    if (error.details or {}).get("writeConcernErrors") or any(each["code"] != _DUPLICATE_KEY for each in failures):
        return set()
    return {each["index"] for each in failures}
