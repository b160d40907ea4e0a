"""Sweeps: periodic work that finds unfinished work, with one holder at a time per sweep.

Each sweep has a lease in its context's database, so one scheduler runs it and the others are standbys; if it dies or
freezes, another takes over when the lease has expired. A lease is not a fence: concurrent runs of the same sweep must
be safe. During an outage it retries about once a second; after any other failure the sweep runs again when it is next
due. A run that cannot finish leaves the rest to the next one: it checks `SweepContext.should_continue` between two
items.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import Counter, Gauge, Histogram

from common.errors import LockTimeout, Unavailable, Undecided, classify
from common.observability.logs import logger
from common.resilience.threads import WATCH_SECONDS, run_until
from common.storage.leases import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event as Flag

    from sqlalchemy import Engine

    from common.resilience.circuit_breaker import Breaker

R = TypeVar("R")
LEASE_SECONDS = 6.0
STANDBY_SECONDS = 1.0
OUTAGE_SECONDS = 1.0
STOP_SECONDS = 12.0  # less than a supervisor's grace period
_LABELS = ("context", "sweep")
SUCCEEDED = Gauge("holdfast_sweep_last_success_timestamp_seconds", "Time of the sweep's last success", _LABELS)
RECONCILED = Gauge(
    "holdfast_reconciliation_last_success_timestamp_seconds",
    "Time of the sweep's last comparison of contexts; 0: never",
    _LABELS,
)
SECONDS = Histogram("holdfast_sweep_seconds", "Duration of a run", _LABELS)
FOUND = Counter("holdfast_sweep_found_total", "Items that the sweep found", _LABELS)
FAILURES = Counter("holdfast_sweep_failures_total", "Runs that failed, by class of failure", (*_LABELS, "failure"))
HELD_UP = Counter("holdfast_sweep_held_up_total", "Runs that ended early because sagas were held up", _LABELS)
INTERVAL = Gauge("holdfast_sweep_interval_seconds", "Interval between two runs", _LABELS)
ACTIVE = Gauge("holdfast_sweep_active", "1 while this process holds the sweep's lease", _LABELS)
_log = logger(__name__)


class SweepContext:
    """What a run may check. A run that is held up, or stopped early, does not count as a success."""

    def __init__(self, should_continue: Callable[[], bool], held_up: Callable[[], str | None]) -> None:
        self._should_continue, self._held_up = should_continue, held_up
        self.was_cut_short = self.was_held_up = False

    def should_continue(self) -> bool:
        """Whether the run may continue; check it between two items."""
        self.was_cut_short = not self._should_continue()
        return not self.was_cut_short

    def held_up(self) -> str | None:
        """Why sagas are held up now; None if they are not."""
        reason = self._held_up()
        self.was_held_up = reason is not None
        return reason


@dataclass(frozen=True, slots=True)
class Sweep(Generic[R]):
    """`run` works on its context's resources and returns how many items it found.

    One that `reconciles` compares this context's data with that of another one, or of the payment provider.
    """

    name: str
    every_seconds: float
    run: Callable[[R, SweepContext], int]
    reconciles: bool = False


class Sweeper(Generic[R]):
    """Runs one sweep of one context in the caller's thread.

    Sweeps of one database share a `breaker`: while it is down, one of them tries it per second.
    """

    def __init__(
        self,
        context: str,
        sweep: Sweep[R],
        engine: Engine,
        resources: R,
        *,
        holder: str,
        held_up: Callable[[], str | None],
        breaker: Breaker,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.name = f"{context}.{sweep.name}"
        self._labels = (context, sweep.name)
        self._sweep, self._resources, self._held_up, self._breaker = sweep, resources, held_up, breaker
        self._lease = Lease(engine, f"sweep.{sweep.name}", holder, lease_seconds)
        self._pause_seconds = lease_seconds / 3  # the interval of lease renewals
        self._in_outage = False
        ACTIVE.labels(*self._labels).set(0)
        INTERVAL.labels(*self._labels).set(sweep.every_seconds)
        if sweep.reconciles:
            RECONCILED.labels(*self._labels)  # exposed from the start: 0 is not missing

    def work(self, stop: Flag) -> None:
        """Run the sweep until `stop` is set."""
        due = time.monotonic()
        while not stop.is_set():
            pause, ran = self._step(stop, due=time.monotonic() >= due)
            if ran:
                due = time.monotonic() + self._sweep.every_seconds
            stop.wait(max(0.01, min(pause, self._pause_seconds)))
        self._release_lease()

    def _step(self, stop: Flag, *, due: bool) -> tuple[float, bool]:
        """Hold the lease, and run if due; returns how long to wait, and whether it ran."""
        try:
            held = self._hold()
            ACTIVE.labels(*self._labels).set(int(held))
            if not held:
                return STANDBY_SECONDS, False
            if due:
                self._run(SweepContext(lambda: not stop.is_set() and self._hold(), self._held_up))
        except Exception as error:  # noqa: BLE001 - whatever it is, the sweep has another turn
            return self._failed(error)
        else:
            return self._sweep.every_seconds, due

    def _hold(self) -> bool:
        with self._breaker.guard():
            return self._lease.hold()

    def _run(self, context: SweepContext) -> None:
        with SECONDS.labels(*self._labels).time():
            found = self._sweep.run(self._resources, context)
        FOUND.labels(*self._labels).inc(found)
        HELD_UP.labels(*self._labels).inc(context.was_held_up)
        if not context.was_held_up and not context.was_cut_short:
            SUCCEEDED.labels(*self._labels).set_to_current_time()
            if self._sweep.reconciles:
                RECONCILED.labels(*self._labels).set_to_current_time()
        if found or self._in_outage:
            _log.info("swept", sweep=self.name, found=found)
        self._in_outage = False

    def _failed(self, error: Exception) -> tuple[float, bool]:
        kind = classify(error)
        FAILURES.labels(*self._labels, kind.__name__.lower()).inc()
        if kind not in {Unavailable, Undecided, LockTimeout}:
            _log.error("sweep failed", sweep=self.name, error=repr(error), exc_info=error)
            return max(OUTAGE_SECONDS, self._sweep.every_seconds), True
        if not self._in_outage:
            _log.warning("sweep is held up", sweep=self.name, error=repr(error))
        self._in_outage = True
        ACTIVE.labels(*self._labels).set(0)
        return OUTAGE_SECONDS, False

    def _release_lease(self) -> None:
        try:
            self._lease.release()
        except Exception as error:  # noqa: BLE001 - the lease expires
            _log.info("could not release the lease", sweep=self.name, error=repr(error))


def run_all(sweepers: Sequence[Sweeper[R]], stop: Flag) -> int:
    """Run each in its own thread until `stop` (0), or until one dies, which stops the others as well (1)."""
    threads = [threading.Thread(target=each.work, args=(stop,), name=each.name, daemon=True) for each in sweepers]
    return run_until(stop, threads, stop_seconds=STOP_SECONDS)


@contextmanager
def run_in_background(sweepers: Sequence[Sweeper[R]]) -> Iterator[Callable[[], None]]:
    """Run them while the block runs; yields a function that stops them early, for example on a signal.

    If one dies, the process gets a SIGTERM and shuts down gracefully, and its supervisor restarts it.
    """
    stop, is_wanted = threading.Event(), threading.Event()

    def end() -> None:
        is_wanted.set()
        stop.set()

    def watch() -> None:
        if run_all(sweepers, stop) and not is_wanted.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    watching = threading.Thread(target=watch, name="sweeps", daemon=True)
    watching.start()
    try:
        yield end
    finally:
        end()
        watching.join(STOP_SECONDS + WATCH_SECONDS)
