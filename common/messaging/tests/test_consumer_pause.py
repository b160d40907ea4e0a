"""The gate: closed by an outage, opened when every dependency answers, and each of the two is told once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from common.messaging import consumer_pause as gates
from common.messaging.consumer_pause import Gate

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 10.0


class Dependencies:
    """What the probes find, and what the worker was told to do."""

    def __init__(self, *down: str) -> None:
        self.down = set(down)
        self.asked = 0
        self.told: list[str] = []

    def probe(self, name: str) -> Callable[[], None]:
        def ask() -> None:
            self.asked += 1
            if name in self.down:
                raise ConnectionError(name)

        return ask

    def gate(self, *names: str) -> Gate:
        made = Gate("test", {name: self.probe(name) for name in names})
        made.attach(lambda: self.told.append("pause"), lambda: self.told.append("resume"))
        return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "FIRST_PROBE_SECONDS", 0.01)
    monkeypatch.setattr(gates, "PROBE_SECONDS", 0.01)


def wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_it_stays_closed_until_all_answer_and_then_opens() -> None:
    found = Dependencies("database", "provider")
    gate = found.gate("database", "provider")
    gate.close("no answer")
    assert gate.is_closed
    wait(lambda: found.asked > 3)
    found.down.remove("database")
    asked = found.asked
    wait(lambda: found.asked > asked + 3)
    assert gate.is_closed
    assert found.told == ["pause"]
    found.down.clear()
    wait(lambda: not gate.is_closed)
    wait(lambda: found.told == ["pause", "resume"])


def test_closing_a_closed_gate_changes_nothing() -> None:
    found = Dependencies("database")
    gate = found.gate("database")
    for _ in range(5):
        gate.close("no answer")
    assert found.told == ["pause"]
    found.down.clear()
    wait(lambda: found.told == ["pause", "resume"])


def test_it_closes_again() -> None:
    found = Dependencies()
    gate = found.gate("database")
    gate.close("a moment's trouble")
    wait(lambda: found.told == ["pause", "resume"])
    gate.close("another moment's trouble")
    wait(lambda: found.told == ["pause", "resume"] * 2)


def test_where_nothing_can_be_asked_nothing_is_waited_for() -> None:
    found = Dependencies()
    gate = found.gate()
    gate.close("no answer")
    assert not gate.is_closed
    assert found.told == []
