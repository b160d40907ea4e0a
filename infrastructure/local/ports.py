"""Ports: checks whether a stack's are free, and finds a free range."""

import socket
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from infrastructure.local.errors import StackError
from infrastructure.local.home import Home
from infrastructure.local.nodes import NODES, processes
from infrastructure.local.urls import HOST
from infrastructure.processes import MAIL_CATCHER_SMTP_PORT_OFFSET, PORTS_PER_STACK

# Below the ephemeral port range: otherwise a restarted listener could find its port in use.
_FIRST_BASE, _LAST_BASE, _STEP = 10_000, 32_000, 50
_CHOICE_STEP = 100


def listening_offsets(rabbitmq_nodes: int = 1) -> dict[int, str]:
    """Return every port offset of a stack, with its process."""
    offsets = {line.port_offset: line.name for line in processes(rabbitmq_nodes) if line.port_offset is not None}
    offsets[MAIL_CATCHER_SMTP_PORT_OFFSET] = "mail-catcher (SMTP)"
    for node in NODES[:rabbitmq_nodes]:
        offsets[node.management_port] = f"{node.name} (management)"
        offsets[node.distribution_port] = f"{node.name} (distribution)"
        offsets[node.prometheus_port] = f"{node.name} (prometheus)"
    return offsets


def assert_ports_free(home: Home) -> None:
    """Raise StackError naming the first port that something else listens on."""
    for offset, name in sorted(listening_offsets(home.rabbitmq_nodes).items()):
        port = home.port_base + offset
        if not is_free(port):
            raise StackError(
                f"port {port}, meant for {name}, is in use by a program outside this stack. "
                "Choose other ports with --port-base."
            )


def choose_ports(home: Home) -> Home:
    """Return the home with its ports if all are free, else with the next range that is."""
    for base in range(home.port_base, _LAST_BASE, _CHOICE_STEP):
        if all(is_free(base + offset) for offset in listening_offsets(home.rabbitmq_nodes)):
            return replace(home, port_base=base)
    raise StackError("there is no free range of ports on this machine")


def is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port_base(home: Path) -> int:
    """Return a base whose ports are all free now; the same home tries the same one first."""
    count = (_LAST_BASE - _FIRST_BASE) // _STEP
    start = int.from_bytes(sha256(str(home).encode()).digest()[:4]) % count
    for step in range(count):
        base = _FIRST_BASE + (start + step) % count * _STEP
        if all(is_free(base + offset) for offset in range(PORTS_PER_STACK)):
            return base
    raise StackError("there is no free range of ports on this machine")
