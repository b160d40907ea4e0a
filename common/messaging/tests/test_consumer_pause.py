"""The pause: begun by an outage, ended when everything answers, each reported once; and held messages."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from common.errors import Rejected, Unavailable
from common.messaging import consumer_pause
from common.messaging.consumer_pause import CannotParkError, ConsumerPause

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60.0
DELAY_QUEUES = "delay queues"


class Dependencies:
    """What the probes find, and what the worker was asked to do."""

    def __init__(self, *down: str) -> None:
        self.down = set(down)
        self.probed = 0
        self.done: list[str] = []

    def probe(self, name: str) -> Callable[[], None]:
        def ask() -> None:
            self.probed += 1
            if name in self.down:
                raise ConnectionError(name)

        return ask

    def publish(self) -> None:
        if DELAY_QUEUES in self.down:
            raise Unavailable("no confirm")
        self.done.append("published")

    def pause(self, *names: str, probe_delay_queues: bool = False) -> ConsumerPause:
        probes = {name: self.probe(name) for name in names}
        made = ConsumerPause("test", probes, self.probe(DELAY_QUEUES) if probe_delay_queues else None)
        made.attach(lambda: self.done.append("cancel"), lambda: self.done.append("subscribe"))
        return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_pause, "FIRST_PROBE_SECONDS", 0.01)
    monkeypatch.setattr(consumer_pause, "PROBE_SECONDS", 0.01)


def wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def held(pause: ConsumerPause, publish: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=pause.hold, args=(publish,))
    thread.start()
    return thread


def test_it_lasts_until_all_answer() -> None:
    found = Dependencies("database", "provider")
    pause = found.pause("database", "provider")
    pause.begin("no answer")
    assert pause.is_active
    wait(lambda: found.probed > 3)
    found.down.remove("database")
    probed = found.probed
    wait(lambda: found.probed > probed + 3)
    assert pause.is_active
    assert found.done == ["cancel"]
    found.down.clear()
    wait(lambda: not pause.is_active)
    wait(lambda: found.done == ["cancel", "subscribe"])


def test_it_is_shown_while_it_lasts() -> None:
    def shown() -> float | None:
        return REGISTRY.get_sample_value("holdfast_worker_subscribed", {"consumer": "test"})

    found = Dependencies("database")
    pause = found.pause("database")
    assert shown() == 1
    pause.begin("no answer")
    wait(lambda: found.probed > 3)
    assert shown() == 0
    found.down.clear()
    wait(lambda: shown() == 1)


def test_beginning_during_a_pause_changes_nothing() -> None:
    found = Dependencies("database")
    pause = found.pause("database")
    for _ in range(5):
        pause.begin("no answer")
    assert found.done == ["cancel"]
    found.down.clear()
    wait(lambda: found.done == ["cancel", "subscribe"])


def test_it_begins_again() -> None:
    found = Dependencies()
    pause = found.pause("database")
    pause.begin("a moment's trouble")
    wait(lambda: found.done == ["cancel", "subscribe"])
    pause.begin("another moment's trouble")
    wait(lambda: found.done == ["cancel", "subscribe"] * 2)


def test_without_probes_there_is_no_pause() -> None:
    found = Dependencies()
    pause = found.pause()
    pause.begin("no answer")
    assert not pause.is_active
    assert found.done == []


def test_what_can_be_parked_is_parked_at_once_without_a_pause() -> None:
    found = Dependencies()
    found.pause("database", probe_delay_queues=True).hold(found.publish)
    assert found.done == ["published"]


def test_held_messages_are_parked_before_the_dependencies_answer() -> None:
    found = Dependencies(DELAY_QUEUES, "database")
    pause = found.pause("database", probe_delay_queues=True)
    threads = [held(pause, found.publish) for _ in range(3)]
    wait(lambda: found.done == ["cancel"] and found.probed > 3)
    found.down.remove(DELAY_QUEUES)
    for thread in threads:
        thread.join(SECONDS)
    assert found.done == ["cancel", *["published"] * 3]
    assert pause.is_active
    found.down.clear()
    wait(lambda: found.done[-1] == "subscribe")


def test_an_outage_of_the_delay_queues_alone_pauses() -> None:
    found = Dependencies(DELAY_QUEUES)
    thread = held(found.pause("database", probe_delay_queues=True), found.publish)
    wait(lambda: found.done == ["cancel"])
    found.down.clear()
    wait(lambda: sorted(found.done) == ["cancel", "published", "subscribe"])
    thread.join(SECONDS)


def test_nothing_is_held_longer_than_the_broker_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_pause, "HOLD_SECONDS", 0.05)
    found = Dependencies(DELAY_QUEUES)
    pause = found.pause("database", probe_delay_queues=True)
    with pytest.raises(CannotParkError):
        pause.hold(found.publish)
    assert found.done == ["cancel"], "what is given back would be taken again at once"
    found.down.clear()
    wait(lambda: found.done == ["cancel", "subscribe"])
    assert not pause.is_active


def test_the_time_counts_from_the_begin_of_the_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message whose turn comes late in an outage was delivered as early as the others."""
    monkeypatch.setattr(consumer_pause, "HOLD_SECONDS", 0.05)
    found = Dependencies(DELAY_QUEUES)
    pause = found.pause("database", probe_delay_queues=True)
    with pytest.raises(CannotParkError):
        pause.hold(found.publish)
    monkeypatch.setattr(consumer_pause, "HOLD_SECONDS", SECONDS)

    def hold() -> None:
        with pytest.raises(CannotParkError):
            pause.hold(found.publish)

    late = threading.Thread(target=hold)
    late.start()
    late.join(SECONDS / 2)
    assert not late.is_alive()
    found.down.clear()
    wait(lambda: not pause.is_active)


def test_a_shutdown_holds_nothing_back() -> None:
    found = Dependencies(DELAY_QUEUES)
    pause = found.pause("database", probe_delay_queues=True)
    raised: list[str] = []

    def hold() -> None:
        try:
            pause.hold(found.publish)
        except CannotParkError as error:
            raised.append(error.code)

    thread = threading.Thread(target=hold)
    thread.start()
    wait(lambda: found.done == ["cancel"])
    pause.stop()
    thread.join(SECONDS)
    assert raised == ["cannot_park"]
    found.down.clear()
    wait(lambda: found.done[-1] == "subscribe")  # its thread shows that in a gauge of the next test, too


def test_a_message_that_is_at_fault_itself_pauses_nothing() -> None:
    found = Dependencies()

    def publish() -> None:
        raise Rejected("cannot be said in AMQP")

    with pytest.raises(Rejected):
        found.pause("database", probe_delay_queues=True).hold(publish)
    assert found.done == []
