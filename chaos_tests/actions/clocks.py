"""Clock jumps of a process: libfaketime moves its wall clock, but not the monotonic one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chaos_tests.actions.evidence import result
from chaos_tests.actions.processes import start
from chaos_tests.runners.drivers.driver import local
from chaos_tests.runners.requirements import faketime_library
from infrastructure.local.spec import read_specs, write_specs

VARIABLES = (
    "LD_PRELOAD",
    "FAKETIME_TIMESTAMP_FILE",
    "FAKETIME_CACHE_DURATION",
    "FAKETIME_DONT_FAKE_MONOTONIC",
    "NO_FAKE_STAT",
)


def take_clock(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Restart the process with a movable clock, which still has the right time."""
    driver = local(configuration)
    library = faketime_library()
    if library is None:
        raise OSError("there is no libfaketime")
    driver.journal.add(give_clock_back, {"process": process})
    path = driver.directory / "clocks" / f"{process}.faketimerc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("+0\n")
    path.chmod(0o644)
    _change(configuration, process, dict(zip(VARIABLES, (library, str(path), "1", "1", "1"), strict=True)))
    return result(f"{process} ran under a clock that can be moved")


def jump(process: str, seconds: int, configuration: dict[str, Any]) -> dict[str, Any]:
    """Move its clock, while it runs."""
    path = local(configuration).directory / "clocks" / f"{process}.faketimerc"
    path.write_text(f"{seconds:+d}\n")
    return result(f"{process}'s clock jumped by {seconds:+d} s", bit=True)


def give_clock_back(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Restart it with the machine's clock."""
    driver = local(configuration)
    _change(configuration, process, None)
    driver.journal.remove(give_clock_back, {"process": process})
    return result(f"{process} had the machine's clock again")


def _change(configuration: dict[str, Any], process: str, variables: dict[str, str] | None) -> None:
    driver = local(configuration)
    specs = read_specs(driver.stack.home.programs_file)
    kept = {name: value for name, value in specs[process].environment.items() if name not in VARIABLES}
    specs[process] = replace(specs[process], environment=kept | (variables or {}))
    write_specs(driver.stack.home, list(specs.values()))
    driver.stop(process)
    start(process, configuration)
