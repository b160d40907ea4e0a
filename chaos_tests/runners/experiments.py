"""Loads the experiments: names, targets and requirements. It does not run them.

A file in `experiments/` is one kind of fault: a method, and its experiments by name; `each_server` is one for each
server of `_servers.yaml`. Each becomes an ordinary Chaos Toolkit
experiment (`holdfast chaos show NAME` prints it) in the shared frame `_frame.yaml`. An activity is `name`,
`action` (a function of `chaos_tests.actions`), `arguments` and `duration` (the pause after it). `${target}`,
`${seconds}` and an experiment's own `variables` are filled in. Fields that Chaos Toolkit lacks are in its extension
`holdfast`: `targets` (allowed targets; the first is the default), `accepts`, `outage` and `dead_letters` (see
runners/history.py), `requires` (see runners/requirements.py), `quick` (one of the ten representative ones), `exclusive`
(not to be paired with another) and `destructive` (a server does not survive it: never drawn at random, and the next
experiment gets a new system).
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from chaoslib import substitute

from chaos_tests.runners.drivers.proxy_routes import is_of

if TYPE_CHECKING:
    from collections.abc import Iterable

DIRECTORY = Path(__file__).parents[1] / "experiments"
FRAME = DIRECTORY / "_frame.yaml"
SERVERS = DIRECTORY / "_servers.yaml"
DOCUMENTED = ("title", "description", "tags")
VARIABLES = {
    "target": {"type": "env", "key": "HOLDFAST_CHAOS_TARGET"},
    "seconds": {"type": "env", "key": "HOLDFAST_CHAOS_SECONDS", "env_var_type": "float"},
}
KEPT = {name: f"${{{name}}}" for name in VARIABLES}  # substituted later, by `bound` or by Chaos Toolkit itself


@dataclass(frozen=True, slots=True)
class Experiment:
    """`document` is the Chaos Toolkit experiment."""

    name: str
    document: dict[str, Any] = field(repr=False)
    targets: tuple[str, ...] = ()
    accepts: bool | None = None
    outage: bool = True
    dead_letters: int = 0
    requires: tuple[str, ...] = ()
    quick: bool = False
    exclusive: bool = False
    destructive: bool = False
    is_pair: bool = False

    @property
    def title(self) -> str:
        return str(self.document["title"])

    def target(self, name: str = "") -> str:
        """The target for `name`: a process, or a context. Raises `LookupError` if it does not apply."""
        if not name:
            return self.targets[0] if self.targets else ""
        for target in self.targets:
            if is_of(name, target) or is_of(target, name):
                return target
        message = f"{self.name} targets {', '.join(self.targets) or 'nothing'}, not {name}"
        raise LookupError(message)


def load_all(directory: Path = DIRECTORY) -> dict[str, Experiment]:
    """Every experiment by its name, in the order of names."""
    found = [each for path in directory.glob("[!_]*.yaml") for each in load(path)]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def load(path: Path) -> list[Experiment]:
    """Read one kind of fault. Raises `ValueError` naming the file and the experiment."""
    kind = _read(path)
    experiments = kind.get("experiments", {}) | (_of_each_server(kind["each_server"]) if "each_server" in kind else {})
    return [
        _experiment(f"{path.name}, {name}", name, {"method": kind["method"]} | deepcopy(given))
        for name, given in experiments.items()
    ]


def _of_each_server(shared: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The experiments of a fault that every server can have, by name."""
    found = {}
    for server, texts in _read(SERVERS).items():
        given = {key: value for key, value in shared.items() if key not in ("name", "quick")}
        given |= {"tags": [server, *given["tags"]], "targets": [server]}
        given |= {key: given[key].format(**texts) for key in ("title", "description")}
        given |= {"accepts": True} if texts.get("accepts") else {}
        given |= {"quick": True} if server in shared.get("quick", ()) else {}
        found[shared["name"].format(server=server)] = given
    return found


def _experiment(where: str, name: str, given: dict[str, Any]) -> Experiment:
    document = {key: given.pop(key) for key in DOCUMENTED if key in given}
    method, variables, seconds = (given.pop(key, None) for key in ("method", "variables", "seconds"))
    words: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    try:
        found = Experiment(name, document, **words)
    except TypeError as error:
        message = f"{where}: {error}"
        raise ValueError(message) from error
    document |= {"extensions": [{"name": "holdfast", **given}]} | deepcopy(_read(FRAME))
    for key, default in (("target", found.target() or None), ("seconds", seconds)):
        if f"${{{key}}}" not in json.dumps(method):
            continue
        if default is None:
            message = f"{where}: its method needs {key}"
            raise ValueError(message)
        document["configuration"][key] = VARIABLES[key] | {"default": default}
    document["method"] = substitute([_activity(each) for each in method], (variables or {}) | KEPT, None)
    return found


def _activity(short: dict[str, Any]) -> dict[str, Any]:
    """Convert an activity to Chaos Toolkit's format."""
    module, _, function = short["action"].partition(".")
    provider = {"type": "python", "module": f"chaos_tests.actions.{module}", "func": function}
    arguments = {"arguments": short["arguments"]} if "arguments" in short else {}
    pauses = {"pauses": {"after": short["duration"]}} if "duration" in short else {}
    return {"type": "action", "name": short["name"], "provider": provider | arguments} | pauses


@cache
def _read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def bound(experiment: Experiment, target: str = "", hold_seconds: float | None = None) -> Experiment:
    """The experiment with its target and duration substituted."""
    variables: dict[str, Any] = {"target": experiment.target(target)}
    configuration = experiment.document["configuration"]
    variables["seconds"] = hold_seconds or configuration.get("seconds", {}).get("default", 0)
    document = deepcopy(experiment.document)
    document["configuration"] = {key: value for key, value in configuration.items() if key not in variables}
    document["method"] = substitute(document["method"], variables, None)
    return Experiment(
        experiment.name,
        document,
        (variables["target"],) if variables["target"] else (),
        experiment.accepts,
        experiment.outage,
        experiment.dead_letters,
        experiment.requires,
    )


def only_process(experiments: Iterable[Experiment]) -> str:
    """Return the process or context whose connections are all that bound experiments act on; empty if there is none."""
    providers = [activity["provider"] for each in experiments for activity in each.document["method"]]
    found = {each.get("arguments", {}).get("process", "") for each in providers}
    modules = {each["module"] for each in providers}
    return str(found.pop()) if len(found) == 1 and modules == {"chaos_tests.actions.connections"} else ""


def pair(one: Experiment, other: Experiment) -> Experiment:
    """Both at once: one begins, the other begins, both go on, the second is restored, then the first. Both must be
    bound.

    A fault of a single action runs during the other; two of that kind run concurrently.
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
        exclusive=True,
        is_pair=True,
    )


def _halves(experiment: Experiment) -> tuple[list[Any], list[Any]]:
    """The actions that begin and end the fault, with the pause in between. (A killed process restarts without one.)"""
    method = deepcopy(experiment.document["method"])
    pauses = [number for number, activity in enumerate(method, 1) if activity.get("pauses", {}).get("after")]
    middle = pauses[0] if pauses else 1
    return method[:middle], method[middle:]
