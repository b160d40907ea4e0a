"""A schedule of faults: drawn from a seed, stored, repeated, and shrunk while it still fails.

Pure, but for reading and writing the file. The same seed, number and experiments give the same schedule.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from chaos_tests.runners.experiments import Experiment

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 9.0
GAP_SECONDS = (1.0, 5.0)
PAIRS = 0.15


@dataclass(frozen=True, slots=True)
class Step:
    """One fault, or two at once (`also`); its duration, and the pause afterwards."""

    experiment: str
    target: str = ""
    also: str = ""
    also_target: str = ""
    hold_seconds: float | None = None
    gap_seconds: float = GAP_SECONDS[1]


def draw(seed: int, faults: int, known: dict[str, Experiment]) -> list[Step]:
    """Draw that many faults. Every kind is drawn before one repeats, so that a long schedule has all of them."""
    chance = random.Random(f"{seed}/schedule")
    bag: list[str] = []
    steps: list[Step] = []
    while len(steps) < faults:
        if not bag:
            bag = sorted(known)
            chance.shuffle(bag)
        steps.append(_step(chance, known, bag.pop()))
    return steps


def of(names: Sequence[str], target: str = "") -> list[Step]:
    """Each of these once, with its defaults."""
    return [Step(name, target) for name in names]


def write(steps: Sequence[Step], seed: int, path: Path) -> None:
    path.write_text(json.dumps({"seed": seed, "steps": [asdict(step) for step in steps]}, indent=1) + "\n")


def read(path: Path) -> tuple[int, list[Step]]:
    """Seed and steps. Raises `ValueError`, `KeyError` or `TypeError` for a malformed schedule."""
    document = json.loads(path.read_text())
    return int(document["seed"]), [Step(**step) for step in document["steps"]]


def shrink(steps: Sequence[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """A minimal part of the schedule that still fails (Zeller's delta debugging).

    `fails` executes a part; the whole is known to fail. An intermittent failure may be missed.
    """
    left, pieces = list(steps), 2
    while len(left) >= 2:
        size = -(-len(left) // pieces)
        for start in range(0, len(left), size):
            rest = left[:start] + left[start + size :]
            if rest and fails(rest):
                left, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if pieces >= len(left):
                break
            pieces = min(2 * pieces, len(left))
    return left


def _step(chance: random.Random, known: dict[str, Experiment], name: str) -> Step:
    experiment, also, also_target = known[name], "", ""
    # Draw everything, even if it is not used: an additional pair must not change the rest.
    partner = chance.choice(sorted(known))
    pairs = chance.random() < PAIRS
    target = chance.choice(experiment.targets) if experiment.targets else ""
    partner_target = chance.choice(known[partner].targets) if known[partner].targets else ""
    hold = round(chance.uniform(SHORTEST_SECONDS, LONGEST_SECONDS), 1)
    gap = round(chance.uniform(*GAP_SECONDS), 1)
    # A fault without a target needs the whole system, so it cannot be paired with another.
    may = target and partner_target and partner_target != target
    exclusive = experiment.exclusive or known[partner].exclusive
    if pairs and may and not exclusive and partner != name:
        also, also_target = partner, partner_target
    return Step(name, target, also, also_target, hold, gap)
