"""A proxy between each process and each server that it uses, to inject a fault into any one connection.

The proxy is an additional process of the stack: its supervisor restarts it, and `down` stops it. Its API is
Toxiproxy's. A proxy is named `<process>.<server>`. `remove` restores every process's own addresses, and so does a start
of the stack.
"""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import requests

from chaos_tests.actions.evidence import wait_until
from chaos_tests.runners.drivers.cluster_links import cluster_links, with_mapper
from infrastructure.local.home import write_private
from infrastructure.local.plan import stand_in
from infrastructure.local.spec import Spec, read_specs, write_specs
from infrastructure.local.supervision import Supervisor
from infrastructure.processes import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infrastructure.local.stack import Stack

PROXY = "chaos-proxy"
SERVERS = ("postgres", "rabbitmq", "mongodb", "sandbox")
PROXIED = ("service-", "worker-", "relay-", "scheduler")
API_SECONDS, START_SECONDS = 10.0, 30.0
FIRST_PORT, LAST_PORT = 20_000, 32_000


class ProxyRoutes:
    """The proxies of one stack; `build` starts them unless they run, `remove` removes them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    @property
    def _file(self) -> Path:
        return self._stack.home.path / "chaos" / "proxy_routes.json"

    @property
    def _before(self) -> Path:
        """The environment of every process without proxies."""
        return self._file.with_name("programs-before.json")

    @property
    def api(self) -> str:
        """The URL of the proxy's API. Raises `LookupError` if there are no proxies."""
        if not self.are_built:
            raise LookupError("there are no proxies between the processes and the servers")
        return f"http://127.0.0.1:{json.loads(self._file.read_text(encoding='utf-8'))['port']}"

    @property
    def are_built(self) -> bool:
        return self._file.exists() and PROXY in read_specs(self._stack.home.programs_file)

    @property
    def _process(self) -> str:
        """The process or context whose connections use the proxy; empty if all do."""
        return str(json.loads(self._file.read_text(encoding="utf-8")).get("process", ""))

    def build(self, process: str = "") -> None:
        """Start the proxy, and restart every process with the addresses of its proxies. Returns when all run.

        `process` limits it to one process, or a context's.
        """
        if self.are_built and self._process in {"", process}:
            return
        self.remove()
        home = self._stack.home
        specs = read_specs(home.programs_file)
        proxies = [*self._proxies(specs, process), *cluster_links(home)]
        count = len(proxies) + 1 + len(home.nodes)
        port, *ports = _free_ports(FIRST_PORT + home.port_base % 1000 * 10, count)
        for proxy, listen in zip(proxies, ports, strict=False):
            proxy["listen"] = f"127.0.0.1:{listen}"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_private(self._before, home.programs_file.read_text(encoding="utf-8"))
        config = self._file.with_name("proxies.json")
        write_private(config, json.dumps(proxies, indent=1) + "\n")
        write_private(self._file, json.dumps({"port": port, "process": process}) + "\n")
        words = [sys.executable, "-m", "chaos_tests.proxy.main", "--port", str(port), "--config", str(config)]
        changed = {name: _through_proxy(spec, proxies) for name, spec in specs.items()}
        changed = with_mapper(home, changed, proxies, ports[len(proxies) :], config.with_name("mapper.json"))
        changed[PROXY] = Spec(PROXY, words, {"LC_ALL": "C.UTF-8"})
        write_specs(home, list(changed.values()))
        Supervisor(home).configure(list(changed.values()))
        for name in changed.keys() - specs.keys():
            self._stack.start(name)
        wait_until(lambda: isinstance(self.call("GET", "/proxies"), dict), START_SECONDS, "the proxy starts")
        self._restart([name for name in specs if changed[name] != specs[name]])

    def remove(self) -> None:
        """Restart every process that used a proxy with its own addresses, and stop the proxy."""
        if not self.are_built or not self._before.exists():
            return
        home = self._stack.home
        specs, before = read_specs(home.programs_file), read_specs(self._before)
        write_specs(home, list(before.values()))
        Supervisor(home).configure(list(before.values()))
        self._restart([name for name in before if before[name] != specs.get(name)])
        for name in specs.keys() - before.keys():
            Supervisor(home).remove(name)
        self._file.unlink()

    def call(self, method: str, path: str, document: Any = None) -> Any:
        """One call of the proxy's API. Raises requests' exceptions."""
        reply = requests.request(method, f"{self.api}{path}", json=document, timeout=API_SECONDS)
        reply.raise_for_status()
        return reply.json() if reply.content else None

    def names(self, server: str, process: str = "") -> list[str]:
        """The proxies of a server: all, or those of the named processes (`orders`: service and worker)."""
        known = sorted(name for name in self.call("GET", "/proxies") if name.endswith(f".{server}"))
        chosen = [name for name in known if not process or is_of(process, name.partition(".")[0])]
        if not chosen:
            message = f"{process or 'no process'} has no connection to {server}"
            raise LookupError(message)
        return chosen

    def _proxies(self, specs: dict[str, Spec], process: str) -> Iterator[dict[str, Any]]:
        ours = {line.name for line in PROCESSES if line.name.startswith(PROXIED)}
        ours = {name for name in ours if not process or is_of(process, name)}
        for name in sorted(ours & specs.keys()):
            for server in dict.fromkeys((*SERVERS, *(node.name for node in self._stack.home.nodes))):
                upstream = f"127.0.0.1:{self._stack.home.port(server)}"
                if any(upstream in value for value in specs[name].environment.values()):
                    yield {"name": f"{name}.{server}", "upstream": upstream, "enabled": True}

    def _restart(self, names: list[str]) -> None:
        with ThreadPoolExecutor(8) as executor:
            list(executor.map(self._again, names))

    def _again(self, name: str) -> None:
        if self._stack.pid(name):
            self._stack.stop(name)
            self._stack.start(name)


def is_of(name: str, process: str) -> bool:
    """Whether a process matches, by its name or its context's."""
    return name == process or process.partition("-")[2] == name


def _through_proxy(spec: Spec, proxies: list[dict[str, Any]]) -> Spec:
    environment = dict(spec.environment)
    for proxy in proxies:
        owner = proxy["name"].partition(".")[0]
        if spec.name in (owner, stand_in(owner)):
            environment = {key: v.replace(proxy["upstream"], proxy["listen"]) for key, v in environment.items()}
    return replace(spec, environment=environment)


def _free_ports(first: int, count: int) -> list[int]:
    """Ports below the kernel's ephemeral range, so that they are free when the proxy restarts."""
    found: list[int] = []
    for port in range(first, LAST_PORT):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise TimeoutError("there are not enough free ports")
