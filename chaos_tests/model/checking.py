"""One exhaustive check: Spin writes a verifier in C, it is compiled, and visits every state within the bounds.

Guarantee: only a complete search gives a verdict; one that ran out of depth, memory or time raises `UnfinishedError`.
Violations of safety are searched breadth first, so their trail is a shortest one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chaos_tests.model.programs import Programs

MODELS = Path(__file__).parent
COMPILE_SECONDS = 120
DEPTH = 1_000_000
MEGABYTES = 6_000
_NUMBERS = {
    "states": re.compile(r"^\s*(\d+) states, stored", re.MULTILINE),
    "transitions": re.compile(r"^\s*(\d+) transitions", re.MULTILINE),
    "depth": re.compile(r"depth reached (\d+)"),
    "errors": re.compile(r"errors: (\d+)"),
}
_VIOLATION = re.compile(r"^pan:1: (.+?)(?: \(at depth (\d+)\))?$", re.MULTILINE)
_UNREACHED = re.compile(r'^\s+(\w+\.pml:\d+), state \d+, "(.*)"$', re.MULTILINE)
_SEEKS_CYCLES = re.compile(r"acceptance\s+cycles\s+\+ \(fairness enabled\)")
_STEP = re.compile(r"^\s*(\d+):\s+proc\s+\d+ \((?!:init:).*\[.*\]$")
_UNFINISHED = ("max search depth too small", "out of memory", "reached -DMEMLIM bound", "Search not completed")
_EXPECTED_STOP = "Search not completed"


class Kind(StrEnum):
    """The kind of a search."""

    SAFETY = "safety"  # depth first: the whole space, in the least memory
    SHORTEST = "shortest"  # breadth first: the shortest way to a violation
    LIVENESS = "liveness"  # acceptance cycles under weak fairness


_OPTIONS: dict[Kind, tuple[list[str], list[str], list[str]]] = {
    Kind.SAFETY: ([], ["-DSAFETY", "-DCOLLAPSE"], []),
    Kind.SHORTEST: ([], ["-DSAFETY", "-DBFS"], []),
    Kind.LIVENESS: (["-DLIVENESS"], ["-DNFAIR=4", "-DCOLLAPSE"], ["-a", "-f"]),
}


class UnfinishedError(Exception):
    """The search did not finish: no verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`violation` is Spin's description, None without one; `steps` is the length of its trail.

    `unreached` are the statements that no state reached, as `file:line text`.
    """

    states: int
    transitions: int
    depth: int
    violation: str | None
    steps: int
    unreached: frozenset[str]
    seconds: float


def check(
    programs: Programs, model: str, defines: Mapping[str, int | None], kind: Kind, *, seconds: float, optimise: bool
) -> Verdict:
    """Search `model`.pml with these macros. Raises `UnfinishedError`.

    To `optimise` takes the compiler two seconds, which pays off only for a long search.
    """
    spin, compile_, search = _OPTIONS[kind]
    macros = [f"-D{name}" if value is None else f"-D{name}={value}" for name, value in defines.items()]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="model-") as place:
        folder = Path(place)
        source = f"{model}.pml"  # copied: Spin writes its output next to it
        shutil.copy(MODELS / source, folder)
        preprocessor = f"-P{programs.compiler} -E -x c"
        made = _run(folder, [str(programs.spin), preprocessor, "-a", *spin, *macros, source], COMPILE_SECONDS)
        compiled = [
            str(programs.compiler),
            "-w",
            "-O2" if optimise else "-O0",
            f"-DMEMLIM={MEGABYTES}",
            *compile_,
            "-o",
            "pan",
            "pan.c",
        ]
        _run(folder, compiled, COMPILE_SECONDS)
        output = _run(folder, ["./pan", f"-m{DEPTH}", "-w20", *search], seconds)
        if "error" in made.lower() or (kind is Kind.LIVENESS and not _SEEKS_CYCLES.search(output)):
            raise UnfinishedError(made + output)  # Spin skips a property that it cannot parse
        violation = _violation(output)
        steps = (
            _steps(folder, [str(programs.spin), preprocessor, "-t", "-p", *spin, *macros, source]) if violation else 0
        )
    numbers = {name: int(match[1]) if (match := pattern.search(output)) else -1 for name, pattern in _NUMBERS.items()}
    if numbers["errors"] != (violation is not None):
        raise UnfinishedError(output)
    return Verdict(
        states=numbers["states"],
        transitions=numbers["transitions"],
        depth=numbers["depth"],
        violation=violation,
        steps=steps,
        unreached=frozenset(f"{line} {text}" for line, text in _UNREACHED.findall(output) if text != "-end-"),
        seconds=time.monotonic() - started,
    )


def _violation(output: str) -> str | None:
    match = _VIOLATION.search(output)
    unfinished = [sign for sign in _UNFINISHED if sign in output and not (match and sign == _EXPECTED_STOP)]
    if unfinished:
        raise UnfinishedError(output)
    return match[1] if match else None


def _steps(folder: Path, command: list[str]) -> int:
    output = _run(folder, command, COMPILE_SECONDS, any_code=True)
    # Without process creation, and without the final list of process states.
    return len({match[1] for line in output.splitlines() if (match := _STEP.match(line))})


def _run(folder: Path, command: Sequence[str], seconds: float, *, any_code: bool = False) -> str:
    try:
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        message = f"{' '.join(command)} took longer than {seconds} s"
        raise UnfinishedError(message) from error
    if done.returncode != 0 and not any_code:
        message = f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
        raise UnfinishedError(message)
    return done.stdout + done.stderr
