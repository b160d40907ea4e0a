"""The app as it is served: a real gunicorn on a real port."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMAND = [sys.executable, "-m", "gunicorn", "-c", "python:common.server", "common.tests.sample_service:make_app()"]


class Server:
    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        environment = {"PATH": os.environ["PATH"], "SERVICE_PORT": str(self.port), "SERVICE_THREADS": "2"}
        self.process = subprocess.Popen(
            _COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.1)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names, encode_chunked="Transfer-Encoding" in names)
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        connection.close()
        return reply.status, answer

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=25)
        return output

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/livez")[0] == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    if running.process.poll() is None:
        running.stop()


def test_a_body_in_chunks_is_read_whole(server: Server) -> None:
    chunks = [b'{"name": ', b'"a"}']
    typed = {"Content_Type": "application/json", "Transfer_Encoding": "chunked"}
    assert server.request("POST", "/things", iter(chunks), **typed) == (201, {"name": "a"})


def test_a_body_in_chunks_is_bounded(server: Server) -> None:
    padded = [b'{"name": "a"}', *[b" " * 8192] * 20]
    typed = {"Content_Type": "application/json", "Transfer_Encoding": "chunked"}
    status, problem = server.request("POST", "/things", iter(padded), **typed)
    assert (status, problem["code"]) == (413, "body_too_large")


def test_an_absurd_header_meets_a_problem_document(server: Server) -> None:
    headers = {"Content_Type": "application/json", "Authorization": "Bearer " + "x" * 10_000}
    status, problem = server.request("GET", "/things/a", None, **headers)
    assert (status, problem["code"]) == (401, "invalid_token")


def test_sigterm_lets_requests_finish_and_all_output_is_json() -> None:
    server = Server()
    replies: list[tuple[int, Any]] = []
    request = threading.Thread(target=lambda: replies.append(server.request("GET", "/things/slow")))
    request.start()
    time.sleep(0.3)
    output = server.stop()
    request.join(timeout=10)
    assert replies == [(200, {"done": True})]
    assert server.process.returncode == 0
    assert [line for line in output.splitlines() if "level" not in json.loads(line)] == []


def test_a_bad_setting_stops_it_at_once_and_names_itself() -> None:
    environment = {"PATH": os.environ["PATH"], "SERVICE_PORT": "many"}
    ended = subprocess.run(_COMMAND, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert "SERVICE_PORT" in ended.stderr
