"""Actions that need containers: network partition, and scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chaos_tests.actions.evidence import result
from chaos_tests.runners.drivers.driver import UnsupportedError, driver_of

if TYPE_CHECKING:
    from chaos_tests.runners.drivers.compose import Compose


def isolate(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Disconnect a container from its networks."""
    driver = _compose(configuration)
    networks = driver.networks(process)
    driver.journal.add(reconnect, {"process": process}, networks=networks)
    driver.disconnect(process)
    return result(
        f"{process} was cut off from {', '.join(networks)}", took_effect=bool(networks) and not driver.networks(process)
    )


def reconnect(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Reconnect it."""
    driver = _compose(configuration)
    networks = driver.journal.memory(reconnect, {"process": process}).get("networks", [])
    driver.connect(process, networks)
    driver.journal.remove(reconnect, {"process": process})
    return result(f"{process} was back in {', '.join(networks) or 'its networks'}")


def scale(process: str, count: int, configuration: dict[str, Any]) -> dict[str, Any]:
    """Scale it to that number."""
    driver = _compose(configuration)
    before = driver.count(process)
    driver.journal.add(scale_back, {"process": process}, count=before)
    driver.scale(process, count)
    return result(
        f"{process} ran {driver.count(process)} times instead of {before}", took_effect=driver.count(process) == count
    )


def scale_back(process: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Restore the previous number."""
    driver = _compose(configuration)
    count = driver.journal.memory(scale_back, {"process": process}).get("count", 1)
    driver.scale(process, count)
    driver.journal.remove(scale_back, {"process": process})
    return result(f"{process} ran {count} times again")


def _compose(configuration: dict[str, Any]) -> Compose:
    driver: Any = driver_of(configuration)
    if driver.name != "compose":
        raise UnsupportedError("only the compose driver can do this")
    found: Compose = driver
    return found
