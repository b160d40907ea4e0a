"""A worker's gate: while a dependency is down the worker takes no messages, so none is held, and nothing spins.

Messages held unacknowledged would meet the broker's consumer time-out (30 minutes); messages taken and given back would
go round and round. So the subscription is cancelled, the dependencies are asked about once a second, and when all of
them answer the worker subscribes again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from common.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROBE_SECONDS = 1.0
FIRST_PROBE_SECONDS = 0.5
OPEN = Gauge("holdfast_worker_subscribed", "0 while the worker waits for a dependency", ["consumer"])
_log = logger(__name__)


class Gate:
    """`close` may be called from any thread, any number of times; `pause` and `resume` are called in turn."""

    def __init__(self, context: str, probes: Mapping[str, Callable[[], object]]) -> None:
        self._context, self._probes = context, probes
        self._lock = threading.Lock()
        self._is_closed = False
        self._pause: Callable[[], object] = _nothing
        self._resume: Callable[[], object] = _nothing
        OPEN.labels(context).set(1)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def attach(self, pause: Callable[[], object], resume: Callable[[], object]) -> None:
        """What to call when the gate closes and when it opens."""
        self._pause, self._resume = pause, resume

    def close(self, why: str) -> None:
        """Take no more messages until every probe answers. Without probes there is nothing to wait for."""
        with self._lock:
            if self._is_closed or not self._probes:
                return
            self._is_closed = True
        OPEN.labels(self._context).set(0)
        _log.warning("waiting for a dependency", consumer=self._context, error=why)
        self._pause()
        threading.Thread(target=self._wait, name="gate", daemon=True).start()

    def _wait(self) -> None:
        pause = threading.Event()
        pause.wait(FIRST_PROBE_SECONDS)
        while not self._all_answer():
            pause.wait(PROBE_SECONDS)
        with self._lock:
            self._is_closed = False
        OPEN.labels(self._context).set(1)
        _log.info("all dependencies answer: working again", consumer=self._context)
        self._resume()

    def _all_answer(self) -> bool:
        for name, probe in self._probes.items():
            try:
                probe()
            except Exception as error:  # noqa: BLE001 - whatever it is, it does not answer yet
                _log.info("no answer yet", consumer=self._context, dependency=name, error=repr(error))
                return False
        return True


def _nothing() -> None:
    pass
