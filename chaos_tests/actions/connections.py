"""Faults of connections between processes and servers: slow, cut, silent, refused, in one or both directions, for all
processes or one.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import requests

from chaos_tests.actions.evidence import result
from chaos_tests.runners.drivers.driver import local

CONNECT_SECONDS = 2.0


def inject(
    servers: list[str],
    toxic: str,
    configuration: dict[str, Any],
    *,
    streams: tuple[str, ...] | list[str] = ("upstream", "downstream"),
    attributes: dict[str, int] | None = None,
    process: str = "",
) -> dict[str, Any]:
    """Add a toxic (Toxiproxy's term) to the connections to servers; `process` limits it to one process, or a
    context's.
    """
    driver = local(configuration)
    names = _names(configuration, servers, process)
    arguments = {"servers": servers, "toxic": toxic, "streams": list(streams), "process": process}
    driver.journal.add(remove, arguments, struck=_times_applied(configuration, names, toxic))
    for name in names:
        for stream in streams:
            document = {"name": _called(toxic, stream), "type": toxic, "stream": stream, "attributes": attributes or {}}
            with suppress(LookupError):
                _delete(configuration, name, toxic, stream)  # of a run that died
            driver.proxy_routes.call("POST", f"/proxies/{name}/toxics", document)
    return result(f"{toxic} {'+'.join(streams)} on {len(names)} connections to {', '.join(servers)}")


def remove(
    servers: list[str],
    toxic: str,
    configuration: dict[str, Any],
    *,
    streams: tuple[str, ...] | list[str] = ("upstream", "downstream"),
    process: str = "",
) -> dict[str, Any]:
    """Remove the toxic. Returns how often it took effect."""
    driver = local(configuration)
    names = _names(configuration, servers, process)
    arguments = {"servers": servers, "toxic": toxic, "streams": list(streams), "process": process}
    before = driver.journal.memory(remove, arguments).get("struck", 0)
    struck = _times_applied(configuration, names, toxic) - before
    for name in names:
        for stream in streams:
            with suppress(LookupError):
                _delete(configuration, name, toxic, stream)
    driver.journal.remove(remove, arguments)
    return result(f"{toxic} took effect {struck} times on connections to {', '.join(servers)}", took_effect=struck > 0)


def refuse(servers: list[str], configuration: dict[str, Any], process: str = "") -> dict[str, Any]:
    """Refuse connections to servers, and close existing ones."""
    driver = local(configuration)
    names = _names(configuration, servers, process)
    driver.journal.add(accept, {"servers": servers, "process": process})
    for name in names:
        driver.proxy_routes.call("POST", f"/proxies/{name}", {"enabled": False})
    refused = sum(_is_refused(driver.proxy_routes.call("GET", f"/proxies/{name}")["listen"]) for name in names)
    return result(
        f"{refused} of {len(names)} addresses of {', '.join(servers)} refused", took_effect=refused == len(names)
    )


def accept(servers: list[str], configuration: dict[str, Any], process: str = "") -> dict[str, Any]:
    """Accept connections again."""
    driver = local(configuration)
    for name in _names(configuration, servers, process):
        driver.proxy_routes.call("POST", f"/proxies/{name}", {"enabled": True})
    driver.journal.remove(accept, {"servers": servers, "process": process})
    return result(f"connections to {', '.join(servers)} were accepted again")


def _names(configuration: dict[str, Any], servers: list[str], process: str) -> list[str]:
    """The affected proxies. Raises `LookupError` if there are none."""
    proxy_routes = local(configuration).proxy_routes
    found: list[str] = []
    for server in servers:
        try:
            found += proxy_routes.names(server, process)
        except LookupError:
            if not process:
                raise
    if not found:
        message = f"{process} talks to none of {', '.join(servers)}"
        raise LookupError(message)
    return found


def _times_applied(configuration: dict[str, Any], names: list[str], toxic: str) -> int:
    proxies = local(configuration).proxy_routes.call("GET", "/proxies")
    return sum(
        count
        for name in names
        for called, count in proxies[name].get("struck", {}).items()
        if called.startswith(f"{toxic}-")
    )


def _delete(configuration: dict[str, Any], name: str, toxic: str, stream: str) -> None:
    try:
        local(configuration).proxy_routes.call("DELETE", f"/proxies/{name}/toxics/{_called(toxic, stream)}")
    except requests.HTTPError as error:
        if error.response.status_code == requests.codes.not_found:
            raise LookupError(_called(toxic, stream)) from error
        raise


def _called(toxic: str, stream: str) -> str:
    return f"{toxic}-{stream}"


def _is_refused(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
