"""Executes requested replays: each goes only to the queue in which it failed.

Claim, publish with confirms, record the outcome. After a crash in between it publishes again, and the consumer's inbox
drops the duplicate; a replay is recorded only after the broker's confirm. While the broker or the database is down it
retries every few seconds (the consumer pause of this process probes the database as well). Bulk replays request their
dead letters here, at their rate.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter, Gauge

from common.errors import Unavailable, classify
from common.messaging.confirms import Message
from common.messaging.events import MAX_EVENT_BYTES, InvalidEventError, from_json, new_id
from common.messaging.relay import headers as event_headers
from common.messaging.topology import is_events_queue
from services.operations import usecases
from services.operations.domain import LETTER, NO_SUCH_QUEUE, PUBLISHED, REPLAY, UNPUBLISHABLE, IncompleteBodyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event as Flag

    from pymongo.database import Database

    from common.messaging.publisher import ConfirmedPublisher
    from services.operations.domain import Replay

BATCH = 100
BATCH_BYTES = 4 * 1024 * 1024
CONFIRM_SECONDS = 10.0
IDLE_SECONDS = 0.25
OUTAGE_SECONDS = 2.5

REPLAYED = Counter("holdfast_replays_total", "Replays by outcome", ["outcome"])
WORKS = Gauge("holdfast_replaying", "1 while replays can be executed, 0 during an outage")
_log = structlog.get_logger(__name__)


class Replayer:
    """One thread's work. `run` returns when `stop` is set."""

    def __init__(self, database: Database[dict[str, Any]], publisher: ConfirmedPublisher) -> None:
        self._database, self._publisher = database, publisher
        self._holder = new_id()
        self._credit, self._credited_at = 0.0, time.monotonic()

    def run(self, stop: Flag) -> None:
        outage = False
        while not stop.is_set():
            try:
                busy = self.step()
            except Exception as error:  # noqa: BLE001 - whatever it is, what was asked for stays on record
                known = classify(error) is Unavailable
                if not outage or not known:
                    _log.warning("replays cannot be executed", error=repr(error), exc_info=not known)
                outage = True
                WORKS.set(0)
                stop.wait(OUTAGE_SECONDS)
                continue
            outage = False
            WORKS.set(1)
            if not busy:
                self._publisher.idle(IDLE_SECONDS)
                stop.wait(0.0 if self._publisher.is_connected else IDLE_SECONDS)
        self._publisher.close()

    def step(self) -> int:
        """One batch; returns the number of executed replays. Raises errors of database and broker."""
        self._advance_job()
        claimed = usecases.claim_replays(self._database, self._holder, limit=BATCH)
        for batch in _batches(claimed):
            usecases.settle_replays(self._database, self._publish(batch))
        return len(claimed)

    def _advance_job(self) -> None:
        job = usecases.running_job(self._database, self._holder)
        now = time.monotonic()
        elapsed, self._credited_at = now - self._credited_at, now
        if job is None:
            self._credit = 0.0
            return
        # At most one second's worth at once, after any pause.
        self._credit = min(self._credit + elapsed * job.rate, max(1.0, job.rate))
        if self._credit >= 1:
            self._credit -= usecases.advance_job(self._database, job, int(self._credit))

    def _publish(self, batch: Sequence[Replay]) -> dict[str, tuple[Replay, str]]:
        messages, outcomes = [], {}
        for replay in batch:
            if not is_events_queue(replay.queue):
                outcomes[replay.id] = NO_SUCH_QUEUE
                continue
            try:
                messages.append(self._message(replay))
            except IncompleteBodyError:
                _log.exception("the body of a dead letter is incomplete", letter_id=replay.letter_id)
                outcomes[replay.id] = UNPUBLISHABLE
        outcomes |= self._sent(messages)
        for outcome in outcomes.values():
            REPLAYED.labels(outcome).inc()
        return {replay.id: (replay, outcomes[replay.id]) for replay in batch if replay.id in outcomes}

    def _sent(self, messages: Sequence[Message]) -> dict[str, str]:
        """The outcome of each; those that the broker neither confirmed nor returned are missing, and stay claimed."""
        if not messages:
            return {}
        try:
            confirmed = self._publisher.publish(messages, timeout_seconds=CONFIRM_SECONDS)
        except Exception as error:
            self._publisher.close()  # it may be in the middle of a message
            if classify(error) is Unavailable:
                raise
            if len(messages) > 1:  # one of the messages causes the error
                return {name: outcome for each in messages for name, outcome in self._sent([each]).items()}
            _log.exception("a replay cannot be published", replay_id=messages[0].id)
            return {messages[0].id: UNPUBLISHABLE}
        return dict.fromkeys(confirmed, PUBLISHED) | dict.fromkeys(self._publisher.returned, NO_SUCH_QUEUE)

    def _message(self, replay: Replay) -> Message:
        body = usecases.body_of(self._database, replay)
        return Message(
            id=replay.id,
            routing_key=replay.queue,
            body=body,
            content_type=replay.content_type,
            content_encoding=replay.content_encoding,
            headers=replay.carried | _headers(body) | {LETTER: replay.letter_id, REPLAY: replay.id},
        )


def _headers(body: bytes) -> dict[str, str]:
    """The headers that the relay sets; without an attempt counter, so attempts start again."""
    if len(body) > MAX_EVENT_BYTES:
        return {}
    try:
        event = from_json(body)
    except InvalidEventError:
        return {}
    return event_headers(event_id=event.id, event_type=event.type, correlation_id=event.correlationid)


def _batches(replays: Sequence[Replay]) -> Iterator[list[Replay]]:
    batch: list[Replay] = []
    for replay in replays:
        if batch and sum(each.bytes for each in batch) + replay.bytes > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(replay)
    if batch:
        yield batch
