"""Publishes archived events to Kafka, by position.

Guarantee: every event up to the stored position is in Kafka; after a crash later ones are sent again, so an event is
delivered at least once, and a consumer detects duplicates by `id`. While Kafka or MongoDB is down it waits. Not
supported: two bridges at once. They would send everything twice, out of order.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from common.observability import logs
from workers.bridge import metrics
from workers.bridge.ordering import Ordering
from workers.bridge.records import record

if TYPE_CHECKING:
    from workers.bridge.producer import OrderedProducer
    from workers.bridge.storage import Archive, Positions

IDLE_SECONDS = 0.5
SAVE_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
_log = logs.logger(__name__)


class Bridge:
    """One run from the stored position on."""

    def __init__(
        self, archive: Archive, positions: Positions, producer: OrderedProducer, *, prefix: str, gap_seconds: float
    ) -> None:
        self._archive, self._positions, self._producer = archive, positions, producer
        self._prefix, self._gap_seconds = prefix, gap_seconds
        self._stopping = False
        self._saved_at = self._complete_at = time.monotonic()
        self._saved = -1

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        """Run until `stop`. Raises `KafkaException` for a permanent error."""
        self._read = -1
        while not self._stopping:
            try:
                if self._read < 0:
                    self._begin(self._positions.load())
                self._turn()
            except PyMongoError as error:  # it resumes at its position when MongoDB answers
                _log.warning("MongoDB does not answer", error=f"{type(error).__name__}: {error}"[:200])
                self._producer.poll(_PAUSE_SECONDS)
        deadline = time.monotonic() + 10
        while self._producer.unconfirmed and time.monotonic() < deadline:
            self._producer.poll()
        self._save()

    def _begin(self, position: int) -> None:
        self._read = position
        self._ordering = Ordering(self._archive.position_of, gap_seconds=self._gap_seconds)

    def _turn(self) -> None:
        if (after := self._positions.take_backfill()) is not None:
            _log.info("back-fill started", after=after)
            self._begin(after)
        documents = self._archive.after(self._read) if self._producer.has_room() else []
        for document in documents:
            for going in self._ordering.take(document, time.monotonic()):
                self._producer.give(record(going, self._prefix))
            self._read = document["position"]
        self._give_overdue()
        self._producer.poll(0 if documents else IDLE_SECONDS)
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def _give_overdue(self) -> None:
        overdue = self._ordering.overdue(time.monotonic())
        for document in overdue:
            self._producer.give(record(document, self._prefix))
        if overdue:
            metrics.GAPS.inc(len(overdue))
            _log.warning("events published without their predecessors", events=[each["_id"] for each in overdue[:10]])

    def _save(self) -> None:
        """Store the position up to which everything is confirmed."""
        open_positions = [self._producer.lowest_unconfirmed, self._ordering.lowest_held]
        position = min([self._read, *(each - 1 for each in open_positions if each is not None)])
        now = time.monotonic()
        if position == self._read:
            self._complete_at = now
        metrics.HELD.set(self._ordering.held)
        metrics.LAG.set(now - self._complete_at)
        metrics.POSITION.set(position)
        self._saved_at = now
        if position != self._saved:
            self._positions.save(position)
            self._saved = position
