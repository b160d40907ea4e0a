"""Operations use cases: store dead letters, and record requests of operators.

They do not publish: a replay is a recorded request, which `workers/operations` executes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymongo

from common.errors import Conflict, NotFound, Rejected, Unavailable, classify
from common.messaging import topology
from common.messaging.events import from_document, rfc3339, utc_now
from common.resilience.crash_points import crash_point
from services.operations import audits, bodies, groups, jobs, metrics, models, replays
from services.operations.diagnosis import diagnose
from services.operations.domain import IncompleteBodyError, Status
from services.operations.system import breaker_is_open, system_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymongo.database import Database

    from common.messaging.raw_message import RawMessage
    from common.storage.mongodb import Store
    from common.web.pagination import Page
    from services.operations.domain import Filter, Job, Replay
    from services.operations.monitoring import Monitor

    Documents = Database[dict[str, Any]]

MAX_REQUESTS = 200
MAX_GROUPS = 50
COUNT_SECONDS = 1.0


class NotReplayableError(Conflict):
    """It does not come from a consumer's queue, so it has no destination."""

    code = "letter_not_replayable"


class OnItsWayError(Conflict):
    """A replay of it is in flight."""

    code = "letter_replaying"


class UnknownCursorError(Rejected):
    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter's document and its body, truncated at the requested limit."""

    document: dict[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class RunningJob:
    id: str
    rate: float
    document: dict[str, Any]


def file_letter(database: Documents, message: RawMessage) -> str:
    """Store it, once; returns `filed`, `returned` or `duplicate`. Raises MongoDB's errors: then it is not stored."""
    death = diagnose(message, now=utc_now())
    outcome = models.file(database, death, now=rfc3339(utc_now()))
    if outcome in (models.FILED, models.RETURNED):
        metrics.count_filed(death)
    return outcome


def list_letters(database: Documents, criteria: Filter, page: Page) -> list[dict[str, Any]]:
    """Newest first; at most `page.fetch`, without their bodies."""
    before = page.starting_after
    if before is not None and models.get(database, before) is None:
        raise UnknownCursorError("unknown cursor", errors={"starting_after": ["No such letter."]})
    return models.page(database, criteria, before=before, limit=page.fetch)


def list_groups(database: Documents, status: Status) -> list[dict[str, Any]]:
    """Dead letters of one status by queue and error, the largest groups first."""
    return groups.largest(database, status, MAX_GROUPS)


def get_letter(database: Documents, letter_id: str) -> Letter:
    found = models.get(database, letter_id)
    if found is None:
        raise NotFound("no such dead letter")
    stored = found.get("body_stored")
    return Letter(found, bodies.get(database, stored) if stored else bytes(found["body"]))


def get_edit(database: Documents, name: str) -> str | None:
    """The event that an operator made of a letter, by its name in the history; None if it cannot be read any more."""
    try:
        return bodies.get(database, name).decode()
    except IncompleteBodyError:
        return None


def request_replay(database: Documents, letter_id: str, *, by: str, event: Mapping[str, Any] | None) -> Letter:
    """Request a replay: of the original, or of `event` in its place. Repeating the request while it is in flight is
    harmless.

    Raises `NotReplayableError`, `InvalidEventError`, and `OnItsWayError` if another replay is in flight.
    """
    letter = get_letter(database, letter_id)
    queue = letter.document["queue"]
    if not topology.is_events_queue(queue):
        message = f"{queue} is not a consumer's queue"
        raise NotReplayableError(message)
    edited = None
    if event is not None:
        from_document(event)
        edited = bodies.put(database, json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())
    now = rfc3339(utc_now())
    changed = replays.request(database, letter_id, by=by, edited_sha256=edited, now=now)
    if changed is not None:
        return Letter(changed, letter.body)
    current = get_letter(database, letter_id)
    if event is not None and current.document.get("replay", {}).get("edited_sha256") != edited:
        raise OnItsWayError("a replay of this dead letter is in flight: wait for its outcome")
    return current


def discard_letter(database: Documents, letter_id: str, *, by: str, reason: str) -> Letter:
    """Discard it; a discarded one is returned unchanged."""
    letter = get_letter(database, letter_id)
    changed = models.discard(database, letter_id, by=by, reason=reason, now=rfc3339(utc_now()))
    if changed is not None:
        return Letter(changed, letter.body)
    current = get_letter(database, letter_id)
    if current.document["status"] == Status.DISCARDED:
        return current
    raise OnItsWayError("a replay of this dead letter is in flight: wait for its outcome")


def start_job(database: Documents, job_id: str, criteria: Filter, *, by: str, rate: float) -> Job:
    """Request a bulk replay of the dead letters stored now; returns an existing job with that id."""
    jobs.start(database, job_id, criteria, by=by, rate=rate, now=rfc3339(utc_now()))
    return get_job(database, job_id)


def get_job(database: Documents, job_id: str) -> Job:
    job = jobs.get(database, job_id)
    if job is None:
        raise NotFound("no such bulk replay")
    return job


def running_job(database: Documents, holder: str) -> RunningJob | None:
    """Claim the oldest unfinished job for `holder`, for some seconds. Others wait until it is done."""
    job = jobs.claim(database, holder)
    return RunningJob(job["_id"], job["rate"], job) if job else None


def advance_job(database: Documents, job: RunningJob, limit: int) -> int:
    """Request the next `limit` replays of a job; returns how many. Without any it is finished."""
    found = jobs.next_letters(database, job.document, min(limit, MAX_REQUESTS))
    now = rfc3339(utc_now())
    if found:
        replays.request_for_job(database, found, job_id=job.id, by=job.document["by"], now=now)
    else:
        jobs.finish(database, job.id, now=now)
    return len(found)


def claim_replays(database: Documents, holder: str, *, limit: int) -> list[Replay]:
    """Claim up to `limit` unclaimed replays for `holder`, for some seconds."""
    return replays.claim(database, holder, limit=limit)


def body_of(database: Documents, replay: Replay) -> bytes:
    return replays.body(database, replay)


def settle_replays(database: Documents, outcomes: Mapping[str, tuple[Replay, str]]) -> None:
    """Record the outcomes of replays, by their ids."""
    crash_point("operations.replayed")
    replays.settle(database, outcomes, now=rfc3339(utc_now()))


def show_system(store: Store, monitor: Monitor) -> dict[str, Any]:
    """The current state of the system; data of sources that do not answer is null."""
    snapshot = monitor.snapshot()
    dead_letters = last_audit = None
    try:
        with store.use() as database, pymongo.timeout(COUNT_SECONDS):
            dead_letters, last_audit = groups.counts(database), audits.last(database)
    except Exception as error:
        if classify(error) is not Unavailable:
            raise
    return system_view(snapshot, monitor.processes, dead_letters, last_audit, has_broker=monitor.has_broker)


def is_provider_away(monitor: Monitor) -> bool:
    """Whether the payment provider's circuit breaker is not closed in any process that answers."""
    return breaker_is_open(monitor.snapshot(), "payment_provider")


def record_audit(database: Documents, report: Mapping[str, Any], *, by: str) -> dict[str, Any]:
    """Store the findings of an audit; it is shown as the last one."""
    return audits.record(database, report, by=by)


def show_audit(database: Documents, audit_id: str) -> dict[str, Any]:
    """One audit with its findings. Raises `NotFound`."""
    found = audits.find(database, audit_id)
    if found is None:
        raise NotFound("There is no such audit.")
    return found


def list_audits(database: Documents, limit: int) -> list[dict[str, Any]]:
    """The findings of the latest audits, newest first."""
    return audits.latest(database, limit)
