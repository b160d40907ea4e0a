"""Sweeps on a real PostgreSQL: one at a time, taken over, through outages, ended cleanly."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, text

from common.errors import Unavailable
from common.resilience.circuit_breaker import Breaker
from common.resilience.sweeps import OUTAGE_SECONDS, Sweep, SweepContext, Sweeper, run_all, run_in_background
from common.storage import leases
from common.storage.postgresql import make_engine, transaction
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
LEASE_SECONDS = 0.9
LONG_SECONDS = 6.0  # a lease that a holder on a busy machine renews in time
SECONDS = 60.0
NEVER_SECONDS = 10 * SECONDS  # a lease that does not run out during a test


@pytest.fixture
def url(database: Callable[[], str]) -> str:
    made = database()
    engine = make_engine(made, pool_size=1, timeout_seconds=60, name="test")
    with transaction(engine) as connection:
        connection.execute(text(leases.SCHEMA_V1))
    engine.dispose()
    return made


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = make_engine(url, pool_size=10, timeout_seconds=60, name="test")
    yield made
    made.dispose()


class Log:
    """What ran, by whom."""

    def __init__(self, *failures: Exception, found: int = 1) -> None:
        self.runs: list[str] = []
        self.began: list[float] = []
        self._failures, self._found = list(failures), found

    def run(self, who: str, _sweep: SweepContext) -> int:
        self.began.append(time.monotonic())
        self.runs.append(who)
        if self._failures:
            raise self._failures.pop(0)
        return self._found


def sweeper(
    engine: Engine,
    log: Log,
    who: str = "a",
    *,
    every: float = 0.05,
    name: str = "test",
    lease_seconds: float = LEASE_SECONDS,
) -> Sweeper[str]:
    return make(engine, Sweep(name, every, log.run), who, lease_seconds=lease_seconds)


def make(
    engine: Engine,
    sweep: Sweep[str],
    who: str,
    held_up: Callable[[], str | None] = lambda: None,
    *,
    lease_seconds: float = LEASE_SECONDS,
) -> Sweeper[str]:
    patience = Breaker(f"database of {who}", max_failures=1)
    return Sweeper(
        "things",
        sweep,
        engine,
        who,
        holder=who,
        held_up=held_up,
        breaker=patience,
        lease_seconds=lease_seconds,
    )


class Running:
    """Sweepers at work until the block ends."""

    def __init__(self, *sweepers: Sweeper[str]) -> None:
        self.stop, self.code = threading.Event(), -1
        self._sweepers = sweepers
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.code = run_all(self._sweepers, self.stop)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(SECONDS)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def held(engine: Engine) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(text("SELECT count(*) FROM leases")).scalar_one())


def metric(name: str, sweep: str = "test", **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"context": "things", "sweep": sweep} | labels) or 0.0


def test_of_two_schedulers_one_sweeps(engine: Engine) -> None:
    log = Log()
    with Running(sweeper(engine, log, "a", lease_seconds=LONG_SECONDS)):
        eventually(lambda: len(log.runs) > 3)
        with Running(sweeper(engine, log, "b", lease_seconds=LONG_SECONDS)):
            time.sleep(LONG_SECONDS + 1)
            assert set(log.runs) == {"a"}


def test_the_other_scheduler_takes_over_at_once_when_the_first_one_ends(engine: Engine) -> None:
    log = Log()
    with Running(sweeper(engine, log, "a", lease_seconds=NEVER_SECONDS)) as first:
        eventually(lambda: bool(log.runs))
        with Running(sweeper(engine, log, "b", lease_seconds=NEVER_SECONDS)) as second:
            first.stop.set()
            eventually(lambda: "b" in log.runs)
    assert (first.code, second.code) == (0, 0)


def test_a_frozen_holder_loses_its_turn_and_does_not_continue(engine: Engine) -> None:
    frozen, thawed, went_on = threading.Event(), threading.Event(), []

    def freeze(_who: str, context: SweepContext) -> int:
        frozen.set()
        thawed.wait(SECONDS)
        went_on.append(context.should_continue())
        return 0

    log = Log()
    first = make(engine, Sweep("test", 0.05, freeze), "a")
    second = sweeper(engine, log, "b", lease_seconds=NEVER_SECONDS)  # it still holds it when the first one thaws
    with Running(first):
        assert frozen.wait(SECONDS)
        with Running(second):
            eventually(lambda: "b" in log.runs)
            thawed.set()
            eventually(lambda: bool(went_on))
            assert went_on == [False]


def test_an_outage_is_waited_out_about_once_a_second_and_work_resumes(engine: Engine) -> None:
    log = Log(Unavailable("down"), Unavailable("down"))
    began = time.monotonic()
    with Running(sweeper(engine, log, every=60)):
        eventually(lambda: len(log.runs) == 3)
        assert time.monotonic() - began > 2 * min(OUTAGE_SECONDS, LEASE_SECONDS / 3)
        time.sleep(1)
        assert len(log.runs) == 3  # it went well: the next turn is a minute away


def test_an_ordinary_failure_waits_for_the_next_turn(engine: Engine) -> None:
    log, failed = Log(ValueError("a bug"), found=7), metric("holdfast_sweep_failures_total", failure="transient")
    found, began = metric("holdfast_sweep_found_total"), time.time()
    with Running(sweeper(engine, log, every=1.2)):
        eventually(lambda: metric("holdfast_sweep_found_total") >= found + 7)
    assert log.began[1] - log.began[0] >= 1.2
    assert metric("holdfast_sweep_failures_total", failure="transient") == failed + 1
    assert metric("holdfast_sweep_last_success_timestamp_seconds") >= began
    assert metric("holdfast_sweep_seconds_count") >= 2


def test_a_database_that_is_down_stops_nobody_else_and_is_swept_when_it_is_back(url: str, engine: Engine) -> None:
    with Link(url) as link:
        far = make_engine(link.url, pool_size=3, timeout_seconds=0.5, name="test")
        near_log, far_log = Log(), Log()
        with Running(sweeper(engine, near_log, name="near"), sweeper(far, far_log, name="far")) as running:
            eventually(lambda: bool(far_log.runs) and bool(near_log.runs))
            for trouble in (link.cut, link.freeze):
                trouble()
                time.sleep(1.5)
                far_runs, near_runs = len(far_log.runs), len(near_log.runs)
                eventually(lambda runs=near_runs: len(near_log.runs) > runs + 2)  # type: ignore[misc]  # mypy infers no type for a lambda's default
                assert len(far_log.runs) == far_runs
                link.restore()
                eventually(lambda runs=far_runs: len(far_log.runs) > runs)  # type: ignore[misc]  # mypy infers no type for a lambda's default
        assert running.code == 0
        far.dispose()


def die(_who: str, _sweep: SweepContext) -> int:
    raise SystemExit


def successes(sweep: str) -> tuple[float, float]:
    return (
        metric("holdfast_sweep_last_success_timestamp_seconds", sweep),
        metric("holdfast_reconciliation_last_success_timestamp_seconds", sweep),
    )


def test_a_run_that_is_held_up_is_no_success_and_no_reconciliation(engine: Engine) -> None:
    reasons, runs = ["the broker is away"], []

    def compare(_who: str, context: SweepContext) -> int:
        runs.append(context.held_up())
        return 0

    def held_up() -> str | None:
        return reasons[0] if reasons else None

    with Running(make(engine, Sweep("held", 0.05, compare, reconciles=True), "a", held_up)):
        eventually(lambda: len(runs) > 2)
        assert successes("held") == (0, 0)
        assert metric("holdfast_sweep_held_up_total", "held") > 0
        reasons.clear()
        eventually(lambda: min(successes("held")) > 0)
        reasons.append("the broker is away again")
        eventually(lambda: runs[-1] is not None)
        before = successes("held")
        eventually(lambda: len(runs) > runs.index("the broker is away again") + 3)
        assert successes("held") == before


def test_a_run_that_was_cut_short_is_no_success(engine: Engine) -> None:
    begun = threading.Event()

    def endless(_who: str, context: SweepContext) -> int:
        begun.set()
        while context.should_continue():
            time.sleep(0.01)
        return 1

    with Running(make(engine, Sweep("endless", 0.05, endless, reconciles=True), "a")):
        assert begun.wait(SECONDS)
    assert successes("endless") == (0, 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_ends_them_all(engine: Engine) -> None:
    running = Running(sweeper(engine, Log()), make(engine, Sweep("deadly", 0.05, die), "a"))
    with running:
        eventually(lambda: running.code == 1)


@pytest.fixture
def terminations() -> Iterator[list[int]]:
    """The signals that would have ended this process."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    yield came
    signal.signal(signal.SIGTERM, before)


def test_with_other_work_they_run_until_it_ends_and_release_their_leases(
    engine: Engine, terminations: list[int]
) -> None:
    log = Log()
    with run_in_background([sweeper(engine, log)]):
        eventually(lambda: len(log.runs) > 1)
    assert held(engine) == 0
    assert terminations == []


def test_with_other_work_they_can_be_ended_before_it(engine: Engine, terminations: list[int]) -> None:
    log = Log()
    with run_in_background([sweeper(engine, log)]) as end:
        eventually(lambda: len(log.runs) > 0)
        end()
        eventually(lambda: held(engine) == 0)
    assert terminations == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_with_other_work_a_thread_that_dies_ends_the_process_gracefully(
    engine: Engine, terminations: list[int]
) -> None:
    with run_in_background([make(engine, Sweep("deadly", 0.05, die), "a")]):
        eventually(lambda: terminations == [signal.SIGTERM])


def test_how_often_it_is_to_run_is_shown(engine: Engine) -> None:
    sweeper(engine, Log(), every=42.0, name="patient")
    assert metric("holdfast_sweep_interval_seconds", "patient") == 42
