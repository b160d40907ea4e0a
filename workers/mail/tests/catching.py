"""A real SMTP server (aiosmtpd) with configurable replies, and a users service with a few customers."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

from common.tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage

TOKEN = "t" * 32
THREADS = 4
CUSTOMER = "01928f6d-11aa-7c21-8d43-5b7e9f00c2d1"  # like in the golden samples
ADDRESS = "john.doe@shop.example"


@dataclass
class Catcher:
    """`sender`, `recipient` and `content` are what it answers to MAIL, RCPT and DATA in place of yes; `refusals` are
    answers to RCPT for one address.

    It closes the connection when it has received the command in `closes_at`, answers 421 after `limit` mails, adds
    `surplus` to the reply to one mail, and answers MAIL after `delay_seconds`, once `gathers` sessions were opened.
    """

    port: int = field(default_factory=free_port)
    sender: str = ""
    recipient: str = ""
    content: str = ""
    refusals: dict[str, str] = field(default_factory=dict)
    closes_at: str = ""
    limit: int = 1_000_000
    surplus: str = ""
    delay_seconds: float = 0.0
    gathers: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    sessions: list[Any] = field(default_factory=list)  # the connections of aiosmtpd
    quits: int = 0
    controller: Any = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self, **options: Any) -> None:
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=60, **options)
        self.controller.start()

    def stop(self) -> None:
        if self.controller is not None:
            self.hang_up()
            self.controller.stop()
            self.controller = None

    def hang_up(self) -> None:
        """Close every connection without a reply."""
        done = threading.Event()

        def close() -> None:
            for each in self.sessions:
                _close(each)
            self.controller.loop.call_soon(done.set)

        self.controller.loop.call_soon_threadsafe(close)
        assert done.wait(60)

    async def handle_EHLO(self, server: Any, session: Any, _envelope: Any, name: str, replies: list[str]) -> list[str]:  # noqa: N802
        session.host_name, session.mails = name, 0
        self.sessions.append(server)
        return replies

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if session.mails >= self.limit:
            return "421 4.7.0 too many mails in this session"
        await asyncio.sleep(self.delay_seconds)
        while len(self.sessions) < self.gathers:  # noqa: ASYNC110 - an event would belong to one start of the server
            await asyncio.sleep(0.02)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self._answer(server, "MAIL", self.sender)

    async def handle_RCPT(self, server: Any, _session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        answer = self.refusals.get(address) or self.recipient
        if not answer:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return self._answer(server, "RCPT", answer.format(address=address))

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        session.mails += 1
        if not self.content:
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients += envelope.rcpt_tos
        surplus, self.surplus = self.surplus, ""
        return "\r\n".join(filter(None, (self._answer(server, "DATA", self.content), surplus)))

    async def handle_QUIT(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
        self.quits += 1
        return "221 Bye"

    def _answer(self, server: Any, command: str, answer: str) -> str:
        if self.closes_at == command:
            self.closes_at = ""
            _close(server)
        return answer or "250 OK"


def _close(server: Any) -> None:
    if server.transport is not None:
        server.transport.abort()


@contextmanager
def catching() -> Iterator[Catcher]:
    catcher = Catcher()
    catcher.start()
    try:
        yield catcher
    finally:
        catcher.stop()


@dataclass
class Users:
    """`contacts` maps a user to the reply's body; `status` is answered in place of 200.

    `trouble` happens to one reply in place of the usual one. `several` is the reply about several users in place of the
    usual one; an earlier version (`has_several` is false) has no such route. `requests` has the user of each request
    about one, `lookups` the users of each request about several.
    """

    url: str
    contacts: dict[str, Any]
    status: int = 200
    trouble: Callable[[BaseHTTPRequestHandler, bytes], None] | None = None
    has_several: bool = True
    several: bytes | None = None
    requests: list[str] = field(default_factory=list)
    lookups: list[list[str]] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)

    def hang_up(self) -> None:
        for each in self.connections:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _Routes(BaseHTTPRequestHandler):
    users: Users
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.users.connections.append(self.connection)

    def do_GET(self) -> None:
        user_id = self.path.split("/")[4]
        self.users.requests.append(user_id)
        body = self.users.contacts.get(user_id)
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self._reply(content, is_found=body is not None)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["user_ids"]
        self.users.lookups.append(asked)
        known = [self.users.contacts[each] | {"user_id": each} for each in asked if each in self.users.contacts]
        content = self.users.several or json.dumps({"contacts": known}).encode()
        self._reply(content, is_found=self.users.has_several and self.path == "/internal/v1/contacts")

    def _reply(self, content: bytes, *, is_found: bool) -> None:
        status = self.users.status
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status = 401
        elif not is_found and status == 200:
            status = 404
        trouble, self.users.trouble = self.users.trouble, None
        if trouble is not None:
            trouble(self, content)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def users_service() -> Iterator[Users]:
    users = Users("", {CUSTOMER: {"username": "johndoe", "email": ADDRESS}})

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None: ...  # a client may disconnect at any time

    server = Server(("127.0.0.1", 0), type("Routes", (_Routes,), {"users": users}))
    users.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield users
    finally:
        server.shutdown()
        users.hang_up()
        server.server_close()
        thread.join()
