"""A real SMTP server (aiosmtpd) that answers as a test chooses, and a users service that knows a few customers."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

from common.tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

TOKEN = "t" * 32
CUSTOMER = "01928f6d-11aa-7c21-8d43-5b7e9f00c2d1"  # as in the golden samples
ADDRESS = "john.doe@shop.example"


@dataclass
class Catcher:
    """`sender`, `recipient` and `content` are what it answers to MAIL, RCPT and DATA in place of yes."""

    port: int = field(default_factory=free_port)
    sender: str = ""
    recipient: str = ""
    content: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    controller: Any = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self, **options: Any) -> None:
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self.controller.start()

    def stop(self) -> None:
        if self.controller is not None:
            self.controller.stop()
            self.controller = None

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.sender or "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if not self.recipient:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return self.recipient.format(address=address) or "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if not self.content:
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients += envelope.rcpt_tos
        return self.content or "250 OK"


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
    """`contacts` maps a user to the reply's body; `status` is answered in place of 200."""

    url: str
    contacts: dict[str, Any]
    status: int = 200
    requests: list[str] = field(default_factory=list)


@contextmanager
def users_service() -> Iterator[Users]:
    users = Users("", {CUSTOMER: {"username": "johndoe", "email": ADDRESS}})

    class Routes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            user_id = self.path.split("/")[4]
            users.requests.append(user_id)
            status, body = users.status, users.contacts.get(user_id)
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                status = 401
            elif body is None and status == 200:
                status = 404
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Routes)
    users.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield users
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
