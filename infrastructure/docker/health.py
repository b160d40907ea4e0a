"""The image's health check: exit code 0 if the process of this container is healthy, else 1.

It works for every process: one with SERVICE_PORT must be ready, one with METRICS_PORT must serve its metrics, and a job
without a port is healthy while it runs. Standard library only, and little of it, because it runs every few seconds in
every container.
"""

import os
import socket
import sys

TIMEOUT_SECONDS = 4.0
# Services, the sandbox, Flower: the first existing path is used.
READY = ("/readyz", "/livez", "/healthcheck")
METRICS = ("/metrics",)
_OK, _NOT_FOUND = 200, 404


def is_healthy(variables: dict[str, str]) -> bool:
    """Whether the process described by these variables answers."""
    for name, paths in (("SERVICE_PORT", READY), ("METRICS_PORT", METRICS)):
        if variables.get(name):
            return _first_known(int(variables[name]), paths) == _OK
    return True


def _first_known(port: int, paths: tuple[str, ...]) -> int:
    status = 0
    for path in paths:
        status = _status(port, path)
        if status != _NOT_FOUND:
            break
    return status


def _status(port: int, path: str) -> int:
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return int(connection.recv(64).split()[1])
    except (OSError, ValueError, IndexError):
        return 0


if __name__ == "__main__":
    sys.exit(not is_healthy(dict(os.environ)))
