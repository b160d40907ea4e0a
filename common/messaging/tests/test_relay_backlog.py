"""A long backlog while the connection to the broker is cut repeatedly: order, and the metrics.

Set HOLDFAST_TEST_BACKLOG_ROWS=50000 and HOLDFAST_TEST_BACKLOG_CUTS=10 for the whole experiment.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from common.messaging.relay import BATCH_ROWS
from common.storage.postgresql import transaction
from common.tests.outboxes import UNROUTABLE, Outbox, QueueReader, make_event, make_relay
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
ROWS = int(os.environ.get("HOLDFAST_TEST_BACKLOG_ROWS", "4000"))
CUTS = int(os.environ.get("HOLDFAST_TEST_BACKLOG_CUTS", "3"))
SUBJECTS = 20
SECONDS = 60.0 + ROWS / 200
APART_SECONDS = 1.0  # how much older each event is than the next
# How late a measurement may be beside busy processors: little beside the age of a batch.
SLACK_SECONDS = 60.0
STALE_SECONDS = 5.0  # the relay measures once a second; on a busy machine it is late


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def fill(box: Outbox) -> list[tuple[str, int]]:
    """An event of nowhere first, which is older than all others; return the rest by subject and sequence."""
    reported = [(f"thing-{number % SUBJECTS}", number // SUBJECTS + 1) for number in range(ROWS)]
    events = [make_event(sequence, subject=subject) for subject, sequence in reported]
    box.add(make_event(event_type=UNROUTABLE))
    for start in range(0, ROWS, 2_000):
        box.add(*events[start : start + 2_000])
    with transaction(box.engine) as connection:
        older = f"UPDATE outbox SET created_at = now() - {APART_SECONDS} * interval '1 second' * ({ROWS} - position)"
        connection.execute(text(older))
    return reported


@contextmanager
def relaying(box: Outbox, link: Link) -> Iterator[None]:
    stop = threading.Event()
    relay = threading.Thread(target=make_relay(box, link.url, confirm_seconds=1.0).run, args=(stop,))
    relay.start()
    try:
        yield
    finally:
        stop.set()
        relay.join(60)


def is_inactive() -> bool:
    return not REGISTRY.get_sample_value("holdfast_relay_active", {"database": "relay-a"})


def break_within_a_batch(link: Link, _box: Outbox) -> None:
    """Half of a batch reaches the broker and is confirmed, the rest is not."""
    link.starve(BATCH_ROWS * 350)
    eventually(lambda: link.is_starved)
    eventually(is_inactive)  # it has deleted what was confirmed, and cannot connect again


def lose_the_confirms(link: Link, _box: Outbox) -> None:
    """The broker accepts a whole batch, but its confirms are lost."""
    link.mute()
    eventually(is_inactive)


def cut_off(link: Link, _box: Outbox) -> None:
    link.cut()


class Samples:
    """What the metrics say, between two looks at the table itself."""

    def __init__(self, box: Outbox) -> None:
        self._box, self._stop = box, threading.Event()
        self.wrong: list[str] = []
        self._recent: deque[tuple[float, float]] = deque()
        self.count = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            _, before = self._box.backlog()
            shown = REGISTRY.get_sample_value("holdfast_outbox_oldest_seconds", {"database": "relay-a"}) or 0.0
            rows = REGISTRY.get_sample_value("holdfast_outbox_rows", {"database": "relay-a"}) or 0.0
            left, after = self._box.backlog()
            self.count += 1
            # The backlog shrinks: what is shown may be what was true a moment ago, and is never less than what is true.
            highest = self._highest_of_late(before)
            if not after - SLACK_SECONDS <= shown <= highest + BATCH_ROWS * APART_SECONDS + SLACK_SECONDS:
                self.wrong.append(f"the oldest is {highest:.1f} to {after:.1f} s old, shown are {shown:.1f} s")
            if rows < left:
                self.wrong.append(f"{left} rows wait, shown are {rows}")

    def _highest_of_late(self, age_seconds: float) -> float:
        now = time.monotonic()
        self._recent.append((now, age_seconds))
        while self._recent[0][0] < now - STALE_SECONDS:
            self._recent.popleft()
        return max(age for _, age in self._recent)


def test_no_event_overtakes_another_of_its_subject_and_the_lag_is_true_at_every_moment(
    box: Outbox, vhost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with QueueReader(vhost) as reader, Link(vhost) as link:
        reported = fill(box)
        with relaying(box, link):
            eventually(lambda: box.backlog()[0] < ROWS)
            with Samples(box) as samples:
                for cut in range(1, CUTS + 1):
                    left = ROWS * (CUTS + 1 - cut) // (CUTS + 1)
                    eventually(lambda left=left: box.backlog()[0] <= left)  # type: ignore[misc]
                    (break_within_a_batch, lose_the_confirms, cut_off)[cut % 3](link, box)
                    link.restore()
                eventually(lambda: box.backlog()[0] == 0)
        assert (samples.wrong[:5], len(box.set_aside())) == ([], 1)
        assert samples.count > CUTS
        reader.read()
    first = dict.fromkeys((event.subject, event.sequence) for event in reader.received)
    assert sorted(first) == sorted(reported)
    for subject in {subject for subject, _ in reported}:
        sequences = [sequence for each, sequence in first if each == subject]
        assert sequences == sorted(sequences)
    with capsys.disabled():
        print(f"\n{ROWS} rows, {CUTS} cuts, {len(reader.received) - ROWS} repeats, {samples.count} samples")  # noqa: T201
