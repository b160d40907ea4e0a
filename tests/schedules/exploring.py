"""Explore schedules: `python -m tests.schedules.exploring [--seconds S] [--seed N]` prints how many per second.

A schedule that breaks a promise is shrunk and printed step by step; `--schedule HEX` repeats one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.schedules.choices import Choices, smallest
from tests.schedules.installing import simulated
from tests.schedules.promises import broken
from tests.schedules.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LENGTH = 120


@dataclass(frozen=True, slots=True)
class Finding:
    schedule: bytes
    broken: tuple[str, ...]
    story: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([*self.broken, f"schedule {self.schedule.hex()}:", *(f"  {line}" for line in self.story)])


class Explorer:
    """Runs schedules, one after the other; `explorer()` makes one."""

    def __init__(self) -> None:
        self.schedules = 0
        self.shop = Shop(Choices(b""))

    def at(self, place: str) -> None:
        self.shop.at(place)

    def run(self, schedule: bytes) -> Finding | None:
        """Run one schedule to its end; returns the violations."""
        self.schedules += 1
        choices = Choices(schedule)
        shop = self.shop = Shop(choices)
        shop.do(Shop.place)
        while choices.left:
            shop.step()
        found = broken(shop, settled=shop.drain())
        return Finding(schedule, tuple(found), tuple(shop.story)) if found else None

    def explore(self, *, seed: int, schedules: int, seconds: float) -> Finding | None:
        """The smallest form of the first schedule that breaks a promise, within both bounds."""
        chance, deadline = random.Random(seed), time.monotonic() + seconds
        for _ in range(schedules):
            finding = self.run(chance.randbytes(LENGTH))
            if finding:
                return self.run(smallest(finding.schedule, lambda each: self.run(each) is not None))
            if time.monotonic() > deadline:
                break
        return None


@contextmanager
def explorer() -> Iterator[Explorer]:
    explores = Explorer()
    with simulated(explores.at):
        yield explores


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.schedules.exploring", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schedule", metavar="HEX", help="run only this one, and print its steps")
    options = parser.parse_args(arguments)
    with explorer() as explores:
        started = time.process_time()
        if options.schedule:
            finding = explores.run(bytes.fromhex(options.schedule))
            sys.stdout.write("\n".join([*explores.shop.story, ""]))
        else:
            finding = explores.explore(seed=options.seed, schedules=sys.maxsize, seconds=options.seconds)
        rate = explores.schedules / (time.process_time() - started)
    kept = f"{explores.schedules:,} schedules kept every promise, {rate:,.0f} in a second of processor time"
    sys.stdout.write(f"{finding or kept}\n")
    return 1 if finding else 0


if __name__ == "__main__":
    sys.exit(main())
