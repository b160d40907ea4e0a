"""A schedule of faults: drawn from a seed, kept on file, carried out again, and made smaller while it still fails.

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
    """One fault, or two at once (`also`); how long it lasts, and how long it is quiet afterwards."""

    experiment: str
    target: str = ""
    also: str = ""
    also_target: str = ""
    hold_seconds: float | None = None
    gap_seconds: float = GAP_SECONDS[1]


def draw(seed: int, faults: int, known: dict[str, Experiment]) -> list[Step]:
    """That many faults. Every kind comes before one comes twice, so that a long schedule has all of them."""
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
    """Each of these once, as its file has it."""
    return [Step(name, target) for name in names]


def write(steps: Sequence[Step], seed: int, path: Path) -> None:
    path.write_text(json.dumps({"seed": seed, "steps": [asdict(step) for step in steps]}, indent=1) + "\n")


def read(path: Path) -> tuple[int, list[Step]]:
    """Seed and steps. Raises `ValueError`, `KeyError` or `TypeError` for what is no schedule."""
    document = json.loads(path.read_text())
    return int(document["seed"]), [Step(**step) for step in document["steps"]]


def shrink(steps: Sequence[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """A part of the schedule that still fails, and none of whose pieces can go (Zeller's delta debugging).

    `fails` carries a part out; the whole is known to fail. A fault that shows itself by chance only may be missed.
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
    # Everything is drawn whether it is used or not: one more pair must not change what comes after it.
    partner = chance.choice(sorted(known))
    pairs = chance.random() < PAIRS
    target = chance.choice(experiment.targets) if experiment.targets else ""
    partner_target = chance.choice(known[partner].targets) if known[partner].targets else ""
    hold = round(chance.uniform(SHORTEST_SECONDS, LONGEST_SECONDS), 1)
    gap = round(chance.uniform(*GAP_SECONDS), 1)
    # What has no target acts through the whole system, and could not act on one that is broken elsewhere.
    may = target and partner_target and partner_target != target and not experiment.alone and not known[partner].alone
    if pairs and may and partner != name:
        also, also_target = partner, partner_target
    return Step(name, target, also, also_target, hold, gap)
