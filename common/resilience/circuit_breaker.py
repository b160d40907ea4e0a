"""Circuit breakers for remote calls: after consecutive failures no call is made, until one succeeds as a probe.

pybreaker keeps the count and the state. It holds its lock during a call, which would serialize the threads, and it
reads the wall clock, which may jump; so the call runs outside, between the check and the recording of the result, and
the time is measured here with the monotonic clock. Only outages count (`Unavailable`), not refusals.
Pattern: Michael T. Nygard, Release It!, second edition, chapter 5.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import pybreaker
from prometheus_client import Counter, Gauge

from common.errors import Unavailable, classify
from common.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATES = {pybreaker.STATE_CLOSED: 0, pybreaker.STATE_HALF_OPEN: 1, pybreaker.STATE_OPEN: 2}
STATE = Gauge("holdfast_breaker_state", "0 closed, 1 half-open, 2 open", ["breaker"])
REFUSED = Counter("holdfast_breaker_refused_total", "Calls rejected because the breaker was open", ["breaker"])
_log = logger(__name__)


class CircuitOpenError(Unavailable):
    """The call was not made: the dependency failed recently."""

    code = "circuit_open"


class Breaker:
    """Opens after `max_failures` consecutive outages; `reset_seconds` later it admits one call at a time."""

    def __init__(self, name: str, *, max_failures: int, reset_seconds: float = 1.0) -> None:
        self.name = name
        self._reset_seconds = reset_seconds
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=max_failures, reset_timeout=0, listeners=[_Watcher()], name=name, throw_new_error_on_trip=False
        )
        self._lock = threading.Lock()
        self._opened_at = 0.0
        self._is_probing = False
        STATE.labels(name).set(0)

    @property
    def is_open(self) -> bool:
        """Whether calls are rejected now, except for a probe."""
        return self._circuit.current_state != pybreaker.STATE_CLOSED

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run the block if the breaker admits it, else raise `CircuitOpenError`. Any number of threads at once."""
        probing = self._admit()
        try:
            yield
        except Exception as error:
            self._record(error if classify(error) is Unavailable else None, probing=probing)
            raise
        except BaseException:
            self._record(None, probing=probing, answered=False)
            raise
        self._record(None, probing=probing)

    def _admit(self) -> bool:
        """True if this call is the probe."""
        with self._lock:
            if not self.is_open:
                return False
            due = time.monotonic() - self._opened_at >= self._reset_seconds
            if self._is_probing or not due:
                REFUSED.labels(self.name).inc()
                message = f"{self.name} is not called: its circuit breaker is open"
                raise CircuitOpenError(message)
            self._circuit.half_open()
            self._is_probing = True
            return True

    def _record(self, outage: Exception | None, *, probing: bool, answered: bool = True) -> None:
        with self._lock:
            if probing:
                self._is_probing = False
            elif self.is_open:
                return  # a call that began before it opened: the probe decides
            if outage is not None:
                with suppress(type(outage)):
                    self._circuit.call(_raise, outage)
            elif answered:
                self._circuit.call(lambda: None)
            if self.is_open:
                self._opened_at = time.monotonic()


class _Watcher(pybreaker.CircuitBreakerListener):
    def state_change(self, cb: pybreaker.CircuitBreaker, _old: object, new: pybreaker.CircuitBreakerState) -> None:
        STATE.labels(cb.name).set(_STATES[new.name])
        if new.name != pybreaker.STATE_HALF_OPEN:
            _log.warning("circuit breaker changed state", breaker=cb.name, state=new.name)


def _raise(error: Exception) -> NoReturn:
    raise error
