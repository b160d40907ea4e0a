"""Sends due deliveries: a bounded number of threads serves endpoints in turns.

Endpoints whose last response was quick, and those that failed or were slow, have separate threads: dead endpoints do
not block the threads of the others. An endpoint that has just died costs one thread one time-out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from common.errors import Unavailable, classify
from common.observability.logs import logger
from services.notifications.metrics import OVERDUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.notifications.dispatching import Dispatcher

POLL_SECONDS = 1.0
MAX_INTERRUPTED = 1000
MEASURE_SECONDS = 5.0
_log = logger(__name__)


class Sender:
    """Runs until `stop`; `wake` signals that a delivery may be due."""

    def __init__(self, dispatcher: Dispatcher, *, threads: int) -> None:
        self._dispatcher = dispatcher
        suspects = max(1, threads // 4)
        self._lanes = [_Lane(self, threads - suspects, is_suspect=False), _Lane(self, suspects, is_suspect=True)]
        self.stopping = threading.Event()

    @property
    def dispatcher(self) -> Dispatcher:
        return self._dispatcher

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()
        threading.Thread(target=self._measure, name="webhooks-overdue", daemon=True).start()

    def wake(self) -> None:
        for lane in self._lanes:
            lane.awake.set()

    def stop(self) -> None:
        """Start no further turn."""
        self.stopping.set()
        self.wake()

    def join(self) -> None:
        """Wait for the running turns: each is bounded."""
        for lane in self._lanes:
            lane.join()

    def _measure(self) -> None:
        while not self.stopping.wait(MEASURE_SECONDS):
            try:
                OVERDUE.set(self._dispatcher.overdue_seconds())
            except Exception as error:  # noqa: BLE001 - a figure that is missing for a while
                _log.info("cannot measure overdue webhooks", error=repr(error)[:200])


class _Lane:
    def __init__(self, sender: Sender, threads: int, *, is_suspect: bool) -> None:
        self._sender, self._is_suspect = sender, is_suspect
        name = "webhooks-suspect" if is_suspect else "webhooks"
        self._slots = threading.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._thread = threading.Thread(target=self._run, name=f"{name}-turns", daemon=True)
        # Interrupted turns, mostly by an outage of the store: released as soon as it answers.
        self._interrupted: deque[dict[str, Any]] = deque(maxlen=MAX_INTERRUPTED)
        self.awake = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        while not self._sender.stopping.is_set():
            if not self._slots.acquire(timeout=POLL_SECONDS):
                continue
            self.awake.clear()
            endpoint = self._claim()
            if endpoint is None:
                self._slots.release()
                self.awake.wait(POLL_SECONDS)
            else:
                self._pool.submit(self._take_turn, endpoint)

    def _claim(self) -> dict[str, Any] | None:
        try:
            while self._interrupted:
                self._sender.dispatcher.release(self._interrupted[0])
                self._interrupted.popleft()
            return self._sender.dispatcher.claim(is_suspect=self._is_suspect)
        except Exception as error:  # noqa: BLE001 - it is tried again, once a second
            _report("cannot find due webhooks", error)
            time.sleep(POLL_SECONDS)
            return None

    def _take_turn(self, endpoint: dict[str, Any]) -> None:
        try:
            self._sender.dispatcher.take_turn(endpoint)
        except Exception as error:  # noqa: BLE001 - it is given back, or its lease runs out, and its turn comes again
            _report("a webhook endpoint's turn failed", error, endpoint_id=endpoint["_id"])
            if classify(error) is Unavailable:
                self._interrupted.append(endpoint)
        finally:
            self._slots.release()
            self.awake.set()  # more may be due; an endpoint that changed its lane is found within a second


@contextmanager
def sending(dispatcher: Dispatcher, *, threads: int) -> Iterator[Sender]:
    """Send while the block runs; at its end, running turns are finished."""
    sender = Sender(dispatcher, threads=threads)
    sender.start()
    try:
        yield sender
    finally:
        sender.stop()
        sender.join()


def _report(what: str, error: Exception, **where: str) -> None:
    if classify(error) is Unavailable:
        _log.warning(what, error=repr(error)[:200], **where)
    else:
        _log.error(what, exc_info=error, **where)
