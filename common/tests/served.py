"""The sample service as it is served: a real gunicorn on a free port, with the settings that a test wants."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = [
    sys.executable,
    "-m",
    "gunicorn",
    "-c",
    "python:common.web.gunicorn",
    "common.tests.sample_service:make_served_app()",
]
SECONDS = 60


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]
    at: float
    seconds: float


class Server:
    """Runs until `stop`. Settings are the variables' names and values."""

    def __init__(self, command: Sequence[str] = COMMAND, **settings: str) -> None:
        self.port = free_port()
        environment = {"PATH": os.environ["PATH"], "SERVICE_PORT": str(self.port), "SERVICE_THREADS": "2", **settings}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.1)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = self.ask(method, path, body, **headers)
        return answer.status, answer.body

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        began = time.monotonic()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)) as connection:
            connection.request(method, path, body, names, encode_chunked="Transfer-Encoding" in names)
            reply = connection.getresponse()
            text = reply.read()
        now = time.monotonic()
        body = json.loads(text) if "json" in reply.headers["Content-Type"] else text
        return Answer(reply.status, body, dict(reply.headers), now, now - began)

    def at_once(self, count: int, path: str) -> list[Answer]:
        """The answers to `count` requests that are sent at the same time."""
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.ask("GET", path), range(count)))

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=SECONDS)
        return output

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/livez")[0] == 200
        except OSError:
            return False
