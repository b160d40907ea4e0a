"""Faults of processes: killed (-9), frozen and resumed, stopped and started, restarted one after the other."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chaos_tests.actions.evidence import result, wait_until
from chaos_tests.runners.drivers.driver import OURS, Driver, driver_of, local
from chaos_tests.runners.process_tree import process_tree, signal_all
from infrastructure.local.servers.ready import READY

if TYPE_CHECKING:
    from infrastructure.local.home import Home

BACK_SECONDS, PAUSED_SECONDS = 90.0, 5.0


def kill(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Kill it with signal 9, and make sure that it restarts."""
    driver = driver_of(configuration)
    before = driver.identity(process)
    driver.journal.add(wait_until_back, {"process": process})
    driver.kill(process)
    wait_until(lambda: driver.identity(process) != before, BACK_SECONDS, f"{process} dies")
    driver.revive(process)
    return result(f"{process}, {before}, was killed", took_effect=True)


def kill_both(processes: list[str], configuration: dict[str, Any]) -> dict[str, Any]:
    """Kill several at once, for example a process and its standby."""
    found = [kill(process, configuration)["evidence"] for process in processes]
    return result("; ".join(found), took_effect=True)


def kill_children(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Kill its worker children, not itself; it creates new ones."""
    root, *children = local(configuration).pids(process)
    if not children:
        message = f"{process} (process {root}) has no children: it works in threads"
        raise LookupError(message)
    signal_all(children, signal.SIGKILL)
    wait_until(lambda: set(process_tree(root)[1:]).isdisjoint(children), BACK_SECONDS, "the children die")
    return result(f"{process}: killed {', '.join(map(str, children))}, children of {root}", took_effect=True)


def wait_until_back(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Return when a process that was killed runs again, and listens."""
    driver = driver_of(configuration)
    driver.revive(process)  # the run may have died before it killed it
    took = wait_until(lambda: _is_back(driver, process), BACK_SECONDS, f"{process} is back")
    driver.journal.remove(wait_until_back, {"process": process})
    return result(f"{process} was back as {driver.identity(process)} after {took:.1f} s", took_effect=True)


def wait_until_all_back(processes: list[str], configuration: dict[str, Any]) -> dict[str, Any]:
    """Return when all of them are back."""
    return result(
        "; ".join(wait_until_back(process, configuration)["evidence"] for process in processes), took_effect=True
    )


def pause(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Freeze a process and its children."""
    driver = driver_of(configuration)
    identity = driver.identity(process)
    driver.journal.add(resume, {"process": process})
    driver.pause(process)
    wait_until(lambda: driver.is_paused(process), PAUSED_SECONDS, f"{process} is paused")
    return result(f"{process}, {identity}, was paused", took_effect=True)


def resume(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Resume it."""
    driver = driver_of(configuration)
    was = "was frozen still" if driver.identity(process) and driver.is_paused(process) else "was not frozen"
    driver.resume(process)
    driver.journal.remove(resume, {"process": process})
    return result(f"{process} {was}")


def stop(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Stop it gracefully."""
    driver = driver_of(configuration)
    before = driver.identity(process)
    driver.journal.add(start, {"process": process})
    driver.stop(process)
    return result(f"{process}, {before}, was stopped", took_effect=not driver.identity(process))


def start(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Start it again, and return when it listens."""
    driver = driver_of(configuration)
    driver.start(process)
    took = wait_until(lambda: _is_back(driver, process), BACK_SECONDS, f"{process} is back")
    driver.journal.remove(start, {"process": process})
    return result(f"{process} was back after {took:.1f} s")


def start_all(processes: list[str], configuration: dict[str, Any]) -> dict[str, Any]:
    """Start those that do not run."""
    driver = driver_of(configuration)
    gone = [process for process in processes if not driver.identity(process)]
    for process in gone:
        start(process, configuration)
    driver.journal.remove(start_all, {"processes": processes})
    return result(f"started: {', '.join(gone) or 'nothing'}")


def roll(configuration: dict[str, Any], processes: list[str] | None = None) -> dict[str, Any]:
    """Restart all Holdfast processes (or some), one after the other."""
    driver = driver_of(configuration)
    names = processes or OURS
    before = {name: driver.identity(name) for name in names}
    driver.journal.add(start_all, {"processes": names})
    driver.roll(processes or [])
    driver.journal.remove(start_all, {"processes": names})
    restarted = [name for name in names if driver.identity(name) != before[name]]
    return result(f"restarted one after the other: {', '.join(restarted)}", took_effect=len(restarted) == len(names))


def _is_back(driver: Driver, process: str) -> bool:
    return bool(driver.identity(process)) and _listens(driver, process)


def _listens(driver: Driver, process: str) -> bool:
    """Whether a server answers, or a process's port accepts connections, if reachable from here."""
    stack = driver.target().stack
    port = _port(stack.home, process) if stack else None
    if stack is None or port is None:
        return True
    if process in READY:
        try:
            READY[process](stack.home, stack.credentials)
        except Exception:  # noqa: BLE001 - each client library has its own errors
            return False
        return True
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _port(home: Home, process: str) -> int | None:
    try:
        return home.port(process)
    except LookupError:
        return None
