"""The client of the socket manager (socket_manager.py): gets or closes a listening socket.

It connects to a socket in the home. One request and one reply each: {"take": "host:port"} is answered with the
listening socket, {"release": "host:port"} closes it.
"""

import json
import socket
from contextlib import suppress
from pathlib import Path

CALL_SECONDS = 2.0
MESSAGE_BYTES = 256


def socket_manager_path(supervisor_socket: Path) -> Path:
    """Return the socket manager's address: next to the supervisor's socket, whose path is short enough."""
    return supervisor_socket.with_suffix(".keep")


def take(path: Path, address: str) -> socket.socket:
    """Return the listening socket of an address, which stays open for this process and its successors.

    Raises OSError without a socket manager, or if another process uses the address.
    """
    with _request(path, {"take": address}) as connection:
        answer, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 1)
    if not descriptors:
        raise OSError(answer.decode(errors="replace") or "the socket manager closed the connection")
    listener = socket.socket(fileno=descriptors[0])
    listener.set_inheritable(False)  # a descriptor received over a socket is inheritable
    return listener


def release(path: Path, address: str) -> None:
    """Close the kept socket of an address, if any: connections are then refused at once."""
    with suppress(OSError), _request(path, {"release": address}) as connection:
        connection.recv(MESSAGE_BYTES)


def _request(path: Path, question: dict[str, str]) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(CALL_SECONDS)
        connection.connect(str(path))
        connection.send(json.dumps(question).encode())
    except OSError:
        connection.close()
        raise
    return connection
