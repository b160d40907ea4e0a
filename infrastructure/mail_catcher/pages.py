"""`GET /mails?to=ADDRESS` lists received mails as JSON; `GET /livez` is the liveness check."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infrastructure.mail_catcher.mailbox import Mailbox

CLIENT_SECONDS = 10.0


@contextmanager
def serve_pages(mailbox: Mailbox, host: str, port: int) -> Iterator[int]:
    """Serve while the block runs; yields the port."""

    class Pages(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/livez":
                self._reply(200, {"status": "ok"})
            elif parts.path in {"/", "/mails"}:
                self._reply(200, mailbox.mails(parse_qs(parts.query).get("to", [""])[0]))
            else:
                self._reply(404, {"status": "not found"})

        def _reply(self, status: int, body: Any) -> None:
            content = json.dumps(body, indent=1).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Log no requests."""

    server = ThreadingHTTPServer((host, port), Pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="pages", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
