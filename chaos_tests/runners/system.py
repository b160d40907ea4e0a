"""A local system for chaos suites: started with a proxy in front of each server, observed only from outside."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import requests
import stripe

from chaos_tests.actions.evidence import wait_until
from chaos_tests.runners.process_tree import TRAP, is_armed, process_tree
from holdfast.audit.ledger import Ledger
from holdfast.audit.reading import Reader
from holdfast.audit.run import audit
from holdfast.client import ApiError, Client
from holdfast.target import target_of
from infrastructure.local.spec import change_environments, read_specs, write_specs
from infrastructure.local.stack import Stack
from infrastructure.processes import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdfast.audit.run import Verdict
    from holdfast.target import Target

SERVERS = ("postgres", "rabbitmq", "mongodb", "sandbox")
API_SECONDS = 10
SKU = "CHAOS-TEA"
STOCK = 10_000_000
READY_SECONDS = SETTLE_SECONDS = 120
AUDIT_SECONDS = 60.0
OPEN = ("pending", "reserved")


class System:
    """A separate stack, whose processes reach the servers through proxies."""

    def __init__(self, home: str, port_base: int) -> None:
        self.stack = Stack(home, port_base)
        self._proxy_api = ""
        self._proxy: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start everything with proxies in between, and list the product of the orders."""
        self.stack.up()
        proxy_routes = self._start_proxies()
        self.override({line.name: {} for line in PROCESSES if line.command and not line.is_job}, proxy_routes)
        self.wait_ready()
        self.target().list_product(SKU, "Tea", STOCK)

    def stop(self) -> None:
        self.stack.down()
        if self._proxy is not None:
            self._proxy.terminate()
            self._proxy.wait(API_SECONDS)

    def target(self) -> Target:
        return target_of(self.stack)

    def override(self, changes: Mapping[str, Mapping[str, str]], proxy_routes: Mapping[str, str] | None = None) -> None:
        """Restart the named processes with these additional variables."""
        specs = read_specs(self.stack.home.programs_file)
        change_environments(
            self.stack.home,
            {
                name: _through_proxies(specs[name].environment, proxy_routes or {}) | dict(variables)
                for name, variables in changes.items()
            },
        )
        with ThreadPoolExecutor(8) as executor:
            list(executor.map(self._again, changes))

    @contextmanager
    def changed(self, changes: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
        """Run the named processes with these additional variables; restore them afterwards."""
        file = self.stack.home.programs_file
        before = read_specs(file)
        try:
            self.override(changes)
            yield
        finally:
            write_specs(
                self.stack.home, [before[name] if name in changes else s for name, s in read_specs(file).items()]
            )
            self.override({name: {} for name in changes})

    def arm(self, names: Sequence[str], crash_point: str) -> set[int]:
        """Start the named processes with a crash point: returns the pids of all that run now, one of which will die.

        Their successors have no crash point. (A service's process has a worker child, which dies.)
        """
        trap = {TRAP: crash_point, "HOLDFAST_TEST_BUILD": "1"}
        self.override({name: trap for name in names})  # noqa: C420 - not a value to be shared
        self.wait_ready()
        wait_until(
            lambda: all(is_armed(self.stack.pid(name)) for name in names), READY_SECONDS, "the processes start", 0.05
        )
        change_environments(self.stack.home, {name: {TRAP: None} for name in names})  # from the next start on
        return {pid for name in names for pid in process_tree(self.stack.pid(name))}

    def toxic(self, server: str, kind: str, stream: str = "downstream", **attributes: int) -> None:
        """Add a toxic to the connections to a server; several may be active."""
        document = {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "attributes": attributes}
        requests.post(
            f"{self._proxy_api}/proxies/{server}/toxics", json=document, timeout=API_SECONDS
        ).raise_for_status()

    def switch(self, server: str, *, enabled: bool) -> None:
        """Let the proxy of a server accept connections, or refuse them."""
        requests.post(
            f"{self._proxy_api}/proxies/{server}", json={"enabled": enabled}, timeout=API_SECONDS
        ).raise_for_status()

    def restore_proxies(self) -> None:
        requests.post(f"{self._proxy_api}/reset", timeout=API_SECONDS).raise_for_status()

    def sandbox_fault(self, **fault: Any) -> None:
        url = f"{self.stack.urls.http('sandbox')}/faults"
        requests.put(url, json=[fault], timeout=API_SECONDS).raise_for_status()

    def restore_sandbox(self) -> None:
        requests.delete(f"{self.stack.urls.http('sandbox')}/faults", timeout=API_SECONDS).raise_for_status()

    def customer(self) -> Client:
        """A client for a new customer, with its own token."""
        _, credentials = self.target().register("chaos")
        return self.target().client_of(credentials)

    def settle(self, order_ids: list[str]) -> int:
        """Wait until all of them are confirmed or cancelled; returns how many are not after two minutes."""
        operator, left = self.target().operator(), set(order_ids)
        deadline = time.monotonic() + SETTLE_SECONDS
        while left and time.monotonic() < deadline:
            with suppress(ApiError, requests.RequestException):
                left = {order_id for order_id in left if operator.get(f"/api/v1/orders/{order_id}")["status"] in OPEN}
            time.sleep(0.2)
        return len(left)

    def audit(self, settle_seconds: float = AUDIT_SECONDS) -> Verdict:
        """The audit's result, as soon as the system can be read. Raises the error after a time-out."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            self.wait_ready()
            target = self.target()
            try:
                return audit(
                    Reader(target.operator(), Ledger(target.ledger_key, target.ledger_url), target.management_url),
                    settle_seconds=settle_seconds,
                    progress=lambda _what: None,
                )
            except (requests.RequestException, ApiError, stripe.StripeError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def wait_ready(self) -> None:
        """Wait until the gateway says that all services are ready. Raises `TimeoutError`."""
        url = f"{self.stack.urls.http('gateway')}/readyz"
        wait_until(lambda: requests.get(url, timeout=API_SECONDS).ok, READY_SECONDS, "the system becomes ready", 0.2)

    def _again(self, name: str) -> None:
        self.stack.stop(name)
        self.stack.start(name)

    def _start_proxies(self) -> dict[str, str]:
        """Start the proxy process; returns each server's address and its replacement."""
        port = _free_port()
        self._proxy_api = f"http://127.0.0.1:{port}"
        self._proxy = subprocess.Popen(
            [sys.executable, "-m", "chaos_tests.proxy.main", "--port", str(port)], stdout=subprocess.PIPE
        )
        assert self._proxy.stdout is not None
        self._proxy.stdout.readline()
        proxy_routes = {}
        for server in SERVERS:
            upstream = f"127.0.0.1:{self.stack.home.port(server)}"
            document = {"name": server, "listen": "127.0.0.1:0", "upstream": upstream}
            reply = requests.post(f"{self._proxy_api}/proxies", json=document, timeout=API_SECONDS)
            proxy_routes[upstream] = reply.json()["listen"]
        return proxy_routes


def _through_proxies(environment: Mapping[str, str], proxy_routes: Mapping[str, str]) -> dict[str, str]:
    changed = dict(environment)
    for here, there in proxy_routes.items():
        changed = {name: value.replace(here, there) for name, value in changed.items()}
    return changed


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
