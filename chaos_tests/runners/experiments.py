"""The experiments on file: what each is called, what it strikes, and what it needs. Nothing here runs one.

A file is an ordinary Chaos Toolkit experiment. What Chaos Toolkit has no word for stands in its extension `holdfast`:
`targets` (what it may strike; the first unless told otherwise), `accepts`, `outage` and `dead_letters` (see
runners/history.py), `requires` (see runners/requirements.py), `quick` (one of the most telling ten), `alone` (not to be
paired with another) and `ruinous` (a server is known not to survive it by itself: never drawn by chance, and what comes
after it gets a new system).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from chaoslib import substitute

from chaos_tests.runners.drivers.detours import is_of

ROOM = Path(__file__).parents[1] / "experiments"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One file. `document` is what Chaos Toolkit gets."""

    name: str
    document: dict[str, Any] = field(repr=False)
    targets: tuple[str, ...] = ()
    accepts: bool | None = None
    outage: bool = True
    dead_letters: int = 0
    requires: tuple[str, ...] = ()
    quick: bool = False
    alone: bool = False
    ruinous: bool = False
    is_pair: bool = False

    @property
    def title(self) -> str:
        return str(self.document["title"])

    def target(self, wanted: str = "") -> str:
        """What is struck if `wanted` is named: a process, or a context. Raises `LookupError` if it does not apply."""
        if not wanted:
            return self.targets[0] if self.targets else ""
        for target in self.targets:
            if is_of(wanted, target) or is_of(target, wanted):
                return target
        message = f"{self.name} strikes {', '.join(self.targets) or 'nothing'}, not {wanted}"
        raise LookupError(message)


def load_all(room: Path = ROOM) -> dict[str, Experiment]:
    """Every experiment by its name, in the order of names."""
    return {path.stem: load(path) for path in sorted(room.glob("*.yaml"))}


def load(path: Path) -> Experiment:
    """Read one file. Raises `ValueError` naming it."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    ours = [each for each in document.get("extensions", ()) if each.get("name") == "holdfast"]
    if len(ours) != 1:
        message = f"{path.name} has no extension `holdfast`"
        raise ValueError(message)
    words: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in ours[0].items() if key != "name"
    }
    try:
        return Experiment(path.stem, document, **words)
    except TypeError as error:
        message = f"{path.name}: {error}"
        raise ValueError(message) from error


def bound(experiment: Experiment, target: str = "", hold_seconds: float | None = None) -> Experiment:
    """The experiment with its target and its time written in."""
    variables: dict[str, Any] = {"process": experiment.target(target)}
    configuration = experiment.document["configuration"]
    variables["seconds"] = hold_seconds or configuration.get("seconds", {}).get("default", 0)
    document = deepcopy(experiment.document)
    document["configuration"] = {key: value for key, value in configuration.items() if key not in variables}
    document["method"] = substitute(document["method"], variables, None)
    return Experiment(
        experiment.name,
        document,
        (variables["process"],) if variables["process"] else (),
        experiment.accepts,
        experiment.outage,
        experiment.dead_letters,
        experiment.requires,
    )


def pair(one: Experiment, other: Experiment) -> Experiment:
    """Both at once: one begins, the other begins, both last, the other is mended, then the one. Takes bound ones.

    What is one action, from its beginning to its end, is done while the other lasts; two of that kind side by side.
    """
    document = deepcopy(one.document)
    document["title"] = f"{one.title}, and at the same time: {other.title}"
    document["configuration"] |= other.document["configuration"]
    outer, inner = _halves(one), _halves(other)
    if not outer[1]:
        outer, inner = inner, outer
    if not outer[1]:
        outer[0][0]["background"] = True
    document["method"] = [*outer[0], *inner[0], *inner[1], *outer[1]]
    return Experiment(
        f"{one.name}+{other.name}",
        document,
        (*one.targets, *other.targets),
        accepts=one.accepts and other.accepts,
        outage=one.outage and other.outage,
        dead_letters=one.dead_letters + other.dead_letters,
        requires=(*one.requires, *other.requires),
        alone=True,
        is_pair=True,
    )


def _halves(experiment: Experiment) -> tuple[list[Any], list[Any]]:
    """What begins the fault, and what ends it: the pause is between. (What was killed comes back without one.)"""
    method = deepcopy(experiment.document["method"])
    pauses = [number for number, activity in enumerate(method, 1) if activity.get("pauses", {}).get("after")]
    middle = pauses[0] if pauses else 1
    return method[:middle], method[middle:]
