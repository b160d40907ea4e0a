"""Clock jumps of a process: libfaketime moves its wall clock, but not the monotonic one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chaos_tests.actions.evidence import result
from chaos_tests.actions.processes import start
from chaos_tests.runners.drivers.driver import local
from chaos_tests.runners.requirements import faketime_library
from infrastructure.local.spec import change_environments

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES = (
    "LD_PRELOAD",
    "FAKETIME_TIMESTAMP_FILE",
    "FAKETIME_CACHE_DURATION",
    "FAKETIME_DONT_FAKE_MONOTONIC",
    "NO_FAKE_STAT",
)


def replace_clock(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Restart the process with a movable clock, which still has the right time."""
    driver = local(configuration)
    library = faketime_library()
    if library is None:
        raise OSError("there is no libfaketime")
    driver.journal.add(restore_clock, {"process": process})
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
    return result(f"{process}'s clock jumped by {seconds:+d} s", took_effect=True)


def restore_clock(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Restart it with the machine's clock."""
    driver = local(configuration)
    _change(configuration, process, dict.fromkeys(VARIABLES))
    driver.journal.remove(restore_clock, {"process": process})
    return result(f"{process} had the machine's clock again")


def _change(configuration: dict[str, Any], process: str, variables: Mapping[str, str | None]) -> None:
    driver = local(configuration)
    change_environments(driver.stack.home, {process: variables})
    driver.stop(process)
    start(process, configuration)
