"""The values between server and sandbox: a request, a response, or a deliberately dropped connection.

HTTP itself is in `server.py`; others use sockets only through `Dropped`.
"""

import json
import socket
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from typing import Any
from urllib.parse import unquote


class Dropped(Exception):
    """End the connection without a response: with a TCP reset, or with a normal close."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "closed")
        self.reset = reset


@dataclass(frozen=True)
class Request:
    """One HTTP request, its body already read and bounded."""

    method: str
    target: str
    headers: Message
    body: bytes
    connection: socket.socket

    @cached_property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0], errors="replace")

    @cached_property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass(frozen=True)
class Reply:
    """A status, a body as it goes out, and the headers beyond Content-Length."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, **headers: str) -> "Reply":
        """Add headers; an underscore in a name stands for the hyphen."""
        added = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(self.status, self.body, {**self.headers, **added})


# An operation, inside the transaction of its request.
Work = Callable[[sqlite3.Connection], Reply]


def json_reply(status: int, document: Any, content_type: str = "application/json") -> Reply:
    """A reply whose body is `document` as JSON."""
    body = json.dumps(document).encode() + b"\n"
    return Reply(status, body, {"Content-Type": content_type})
