"""The spec of one process for the supervisor: command, environment and account."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from infrastructure.local.home import REPOSITORY, Home, write_private

# The format of an earlier version: `holdfast down` also stops a stack that was started before an upgrade.
_FORMER_NAMES = {"keeper": "socket_manager"}


@dataclass(frozen=True, slots=True)
class Spec:
    """One process. `uid` and `gid` are set if it runs with another account than the caller's."""

    name: str
    words: list[str]
    environment: dict[str, str]
    directory: str = str(REPOSITORY)
    uid: int | None = None
    gid: int | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    # Files to delete before a start, left over by a killed process.
    stale_files: list[str] = field(default_factory=list)
    # The address of its listening socket, and the socket manager's address.
    listen: str = ""
    socket_manager: str = ""


def write_specs(home: Home, specs: list[Spec]) -> None:
    """Write the home's process file. It contains secrets: only the owner can read it."""
    text = json.dumps({spec.name: asdict(spec) for spec in specs}, indent=2)
    write_private(home.programs_file, text + "\n")


def read_specs(programs_file: Path) -> dict[str, Spec]:
    """Return every process of a process file by its name."""
    found = json.loads(programs_file.read_text(encoding="utf-8"))
    return {
        name: Spec(**{_FORMER_NAMES.get(key, key): value for key, value in words.items()})
        for name, words in found.items()
    }


def change_environments(home: Home, changes: Mapping[str, Mapping[str, str | None]]) -> None:
    """Set variables of the named processes from their next start on; None removes one."""
    specs = read_specs(home.programs_file)
    for name, variables in changes.items():
        environment = {**specs[name].environment, **variables}
        specs[name] = replace(specs[name], environment={key: v for key, v in environment.items() if v is not None})
    write_specs(home, list(specs.values()))
