"""Ports for what a test starts. No two tests of this machine get the same one."""

from __future__ import annotations

import random
import socket

# Below the range for outgoing connections (net.ipv4.ip_local_port_range), and below where stacks look for theirs.
_FIRST, _LAST = 3_000, 7_900


def free_port() -> int:
    """A port on which nobody listens, and which no other test gets until this process ends.

    A port that was only looked at may be another process's before it is used, and then that process answers.
    """
    while True:
        port = random.randrange(_FIRST, _LAST)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0holdfast-test-port-{port}")  # an abstract name: it ends with this process
        except OSError:
            reservation.close()
            continue
        if _is_free(port):
            reservation.detach()  # it stays open until this process ends
            return port
        reservation.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
