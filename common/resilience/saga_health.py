"""Detects whether sagas are held up. While they are, the clock of the order time-outs is stopped.

Sagas are held up by: an outbox that lags (rows set aside as unroutable do not count), a consumer's queue without a
consumer or with a long backlog, messages in the shortest delay queue, a failing probe, and any check that fails. It
polls from one process: it misses an outage that is shorter than the polling interval.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from kombu import Connection

from common.messaging import outbox, topology
from common.observability.logs import logger
from common.storage.postgresql import autocommit
from common.storage.statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Engine

LAG_SECONDS = 3.0
BACKLOG_MESSAGES = 200  # some tenths of a second of a worker's throughput
POLL_SECONDS = 0.5
BROKER_SECONDS = 2.0
_LAG = statement("SELECT {lag}", lag=outbox.LAG_SECONDS)
_log = logger(__name__)


class QueueReader:
    """Counts queues over its own connection. Not thread-safe; raises kombu's and amqp's errors."""

    def __init__(self, broker_url: str, *, name: str) -> None:
        self._broker_url = broker_url
        self._options = {
            "read_timeout": BROKER_SECONDS,
            "write_timeout": BROKER_SECONDS,
            "client_properties": {"connection_name": name},
        }
        self._connection: Connection | None = None

    def read(self, queues: Sequence[str]) -> dict[str, topology.QueueCount]:
        """Count each queue; a connection that fails once is not used again."""
        try:
            connection = self._connected()
            return {queue: topology.count(connection, queue) for queue in queues}
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it may be broken: ignore errors of closing it
                connection.collect(BROKER_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> Connection:
        if self._connection is None:
            # No heartbeat: no thread serves this connection between two polls. The next poll detects a dead one.
            self._connection = Connection(
                self._broker_url, heartbeat=0, connect_timeout=BROKER_SECONDS, transport_options=self._options
            )
            self._connection.connect()  # once; by default kombu would retry for ever
        return self._connection


class SagaHealth:
    """Polls everything that sagas depend on. Thread-safe; a result is valid for `POLL_SECONDS`.

    Each poll passes to `observe` whether sagas are held up.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        queues: QueueReader,
        contexts: Sequence[str],
        probes: Mapping[str, Callable[[], object]],
        observe: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._engines, self._queues, self._contexts, self._probes = engines, queues, contexts, probes
        self._observe = observe
        self._lock = threading.Lock()
        self._reason: str | None = "nothing was polled yet"
        self._until = 0.0

    def reason(self) -> str | None:
        """Why sagas are held up now; None if they are not."""
        with self._lock:
            if time.monotonic() >= self._until:
                before, self._reason = self._reason, self._poll()
                self._until = time.monotonic() + POLL_SECONDS
                self._observe(self._reason is not None)
                if (before is None) != (self._reason is None):
                    _log.info("sagas held up" if self._reason else "sagas no longer held up", reason=self._reason)
            return self._reason

    def _poll(self) -> str | None:
        probes: list[tuple[str, Callable[[], str | None]]] = [("the broker", self._queues_held_up)]
        probes += [(context, partial(_lag, engine)) for context, engine in self._engines.items()]
        probes += [(name, partial(_probe, each)) for name, each in self._probes.items()]
        for name, probe in probes:
            try:
                reason = probe()
            except Exception as error:  # noqa: BLE001 - what cannot be found out counts as held up
                reason = repr(error)
            if reason is not None:
                return f"{name}: {reason}"
        return None

    def _queues_held_up(self) -> str | None:
        shortest_delay = topology.delay_exchange(topology.RETRY_DELAYS_SECONDS[0]).name
        consumed = [topology.events_queue(context) for context in self._contexts]
        counts = self._queues.read([shortest_delay, *consumed])
        for queue in consumed:
            if counts[queue].consumers == 0:
                return f"nobody consumes {queue}"
            if counts[queue].messages > BACKLOG_MESSAGES:
                return f"{counts[queue].messages} messages wait in {queue}"
        parked = counts[shortest_delay].messages
        return f"{parked} messages are parked" if parked else None


def _lag(engine: Engine) -> str | None:
    with autocommit(engine) as connection:
        seconds = float(connection.execute(_LAG).scalar_one())
    return f"the outbox lags by {seconds:.1f} s" if seconds > LAG_SECONDS else None


def _probe(probe: Callable[[], object]) -> str | None:
    probe()
    return None
