"""Pauses a worker: while a dependency is down the worker consumes no messages, so it does not spin.

First the subscription is cancelled, then messages in flight are parked, then the dependencies and the delay queues are
probed about once a second. When all of them answer, the worker subscribes again. A message that cannot be parked is
held (`hold`) until the delay queues answer: each requeue would count a delivery.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from common.errors import Unavailable, classify
from common.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROBE_SECONDS = 1.0
FIRST_PROBE_SECONDS = 0.5
# Counted from the begin of the outage, and less than the broker's limit, 30 minutes from the delivery
# (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
HOLD_SECONDS = 1200.0
SUBSCRIBED = Gauge("holdfast_worker_subscribed", "0 while the worker waits for a dependency", ["consumer"])
HELD = Gauge("holdfast_worker_held_messages", "Messages held because they cannot be parked now", ["consumer"])
_log = logger(__name__)


class CannotParkError(Unavailable):
    """The broker accepts no copy of the message, so it keeps the original."""

    code = "cannot_park"


class ConsumerPause:
    """`begin` and `hold` may be called from any thread; `cancel` and `subscribe` are called in turn.

    Without dependencies and delay queues there is nothing to wait for, and no pause begins.
    """

    def __init__(
        self,
        context: str,
        dependencies: Mapping[str, Callable[[], object]],
        probe_delay_queues: Callable[[], object] | None = None,
    ) -> None:
        self._context, self._dependencies, self._probe_delay_queues = context, dependencies, probe_delay_queues
        self._changed = threading.Condition()
        self._publishing = threading.Lock()
        self._is_active = self._is_stopped = False
        self._can_park = True
        self._hold_until = 0.0
        self._cancel: Callable[[], object] = _nothing
        self._subscribe: Callable[[], object] = _nothing
        SUBSCRIBED.labels(context).set(1)
        HELD.labels(context).set(0)

    @property
    def is_active(self) -> bool:
        return self._is_active

    def attach(self, cancel: Callable[[], object], subscribe: Callable[[], object]) -> None:
        """Set the functions that cancel the subscription and subscribe again."""
        self._cancel, self._subscribe = cancel, subscribe

    def begin(self, reason: str) -> None:
        """Consume no messages until all dependencies answer."""
        with self._changed:
            if self._is_active or self._is_stopped or not (self._dependencies or self._probe_delay_queues):
                return
            self._is_active = True
        SUBSCRIBED.labels(self._context).set(0)
        _log.warning("paused: a dependency does not answer", consumer=self._context, error=reason)
        self._cancel()
        threading.Thread(target=self._run, name="consumer-pause", daemon=True).start()

    def hold(self, publish: Callable[[], object]) -> None:
        """Retry `publish` until it succeeds; while the delay queues are down, pause and hold the message, until they
        have been down for `HOLD_SECONDS`. If they come and go, it is held for as long at most.

        Raises the error of `publish` if this message is at fault, and `CannotParkError` on shutdown or after that time.
        """
        deadline = time.monotonic() + HOLD_SECONDS
        while not self._has_published(publish):
            self.begin("messages cannot be parked")
            if not self._wait_until_parkable(deadline):
                raise CannotParkError("messages cannot be parked")

    def stop(self) -> None:
        """The worker is shutting down: hold no message."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def all_dependencies_answer(self) -> bool:
        """Probe each of them now."""
        return all(self._answers(name, probe) for name, probe in self._dependencies.items())

    def _has_published(self, publish: Callable[[], object]) -> bool:
        """False if the delay queues are known to be down, or are found down; then one thread probes for all."""
        with self._publishing:
            if not self._can_park:
                return False
            try:
                publish()
            except Exception as error:
                if self._probe_delay_queues is None or not _is_outage(error):
                    raise
                _log.warning("a message cannot be parked: it is held", consumer=self._context, error=repr(error))
                with self._changed:
                    self._can_park, self._hold_until = False, time.monotonic() + HOLD_SECONDS
                return False
            return True

    def _wait_until_parkable(self, deadline: float) -> bool:
        with HELD.labels(self._context).track_inprogress(), self._changed:
            timeout = max(0.0, min(deadline, self._hold_until) - time.monotonic())
            self._changed.wait_for(lambda: self._is_stopped or self._can_park, timeout)
            return self._can_park

    def _run(self) -> None:
        pause = threading.Event()
        pause.wait(FIRST_PROBE_SECONDS)
        while not (self._all_answer() and self._has_ended()):
            pause.wait(PROBE_SECONDS)
        SUBSCRIBED.labels(self._context).set(1)
        _log.info("all dependencies answer: resumed", consumer=self._context)
        self._subscribe()

    def _has_ended(self) -> bool:
        """Do not end it if a message could not be parked since the delay queues were probed: its thread waits for this
        pause.
        """
        with self._changed:
            self._is_active = not self._can_park
            return not self._is_active

    def _all_answer(self) -> bool:
        """Probe the delay queues first: held messages are parked as soon as they answer, even if dependencies are
        down.
        """
        if self._probe_delay_queues is not None:
            if not self._answers("delay queues", self._probe_delay_queues):
                return False
            with self._changed:
                self._can_park = True
                self._changed.notify_all()
        return self.all_dependencies_answer()

    def _answers(self, name: str, probe: Callable[[], object]) -> bool:
        try:
            probe()
        except Exception as error:  # noqa: BLE001 - whatever it is, it does not answer yet
            _log.info("the dependency does not answer yet", consumer=self._context, dependency=name, error=repr(error))
            return False
        return True


def _is_outage(error: Exception) -> bool:
    return isinstance(error, OSError) or classify(error) is Unavailable


def _nothing() -> None:
    pass
