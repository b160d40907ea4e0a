"""The app as it is served: a real gunicorn on a real port."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from typing import Any

from common.tests.ports import free_port
from common.tests.sample_service import token
from common.tests.served import COMMAND, Server

APP_LOAD_ERROR = 4  # gunicorn: there is no use in another worker


def test_a_body_in_chunks_is_read_whole(server: Server) -> None:
    chunks = [b'{"name": ', b'"a"}']
    typed = {"Content_Type": "application/json", "Transfer_Encoding": "chunked"}
    assert server.request("POST", "/things", iter(chunks), **typed) == (201, {"name": "a"})


def test_a_body_in_chunks_is_bounded(server: Server) -> None:
    padded = [b'{"name": "a"}', *[b" " * 8192] * 20]
    typed = {"Content_Type": "application/json", "Transfer_Encoding": "chunked"}
    status, problem = server.request("POST", "/things", iter(padded), **typed)
    assert (status, problem["code"]) == (413, "body_too_large")


def test_a_malformed_authorization_header_gets_a_problem_document(server: Server) -> None:
    headers = {"Content_Type": "application/json", "Authorization": "Bearer " + "x" * 10_000}
    status, problem = server.request("GET", "/things/a", None, **headers)
    assert (status, problem["code"]) == (401, "invalid_token")


def test_sigterm_lets_requests_finish_and_all_output_is_json() -> None:
    server = Server()
    replies: list[tuple[int, Any]] = []

    def ask_slowly() -> threading.Thread:
        replies.clear()
        thread = threading.Thread(target=lambda: replies.append(server.request("GET", "/things/slow")))
        thread.start()
        return thread

    request, deadline = ask_slowly(), time.monotonic() + 60
    while True:
        time.sleep(0.05)  # by then the request before is no longer counted
        if b"http_requests_admitted 2.0" in server.ask("GET", "/metrics").body:
            break  # it is there, beside the request for the metrics
        assert time.monotonic() < deadline
        if not request.is_alive():  # a stall let it end unseen
            request = ask_slowly()
    output = server.stop()
    request.join(timeout=60)
    assert replies == [(200, {"done": True})]
    assert server.process.returncode == 0
    assert [line for line in output.splitlines() if "level" not in json.loads(line)] == []


def test_each_line_names_the_caller_and_holds_no_token() -> None:
    server = Server()
    good, forged = token(sub="ann"), token(sub="eve")[:-4] + "AAAA"
    for header in (f"Bearer {good}", f"Bearer {forged}", "Basic c2VjcmV0"):
        server.ask("GET", f"/things/a?token={good}", Authorization=header, X_Forwarded_For="192.0.2.7")
    server.ask("POST", "/things", json.dumps({"name": "a"}), Content_Type="application/json")
    output = server.stop()
    lines = [line for line in map(json.loads, output.splitlines()) if line["event"] == "request"]
    seen = [(line["path"], line["status"], line["caller"]) for line in lines]
    anonymous = ("/things/a", 401, "192.0.2.7")
    assert seen == [("/things/a", 200, "ann"), anonymous, anonymous, ("/things", 201, "127.0.0.1")]
    assert [secret for secret in (good, forged, "c2VjcmV0") if secret in output] == []


def test_a_bad_setting_stops_the_process_at_once_and_is_named() -> None:
    environment = {"PATH": os.environ["PATH"], "SERVICE_PORT": "many"}
    ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "SERVICE_PORT" in ended.stderr


def test_a_setting_that_only_the_service_reads_stops_it_as_well() -> None:
    command = [*COMMAND[:-1], "common.tests.sample_service:make_app_with_a_database()"]
    environment = {"PATH": os.environ["PATH"], "SERVICE_PORT": str(free_port())}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == APP_LOAD_ERROR
    assert ended.stderr.count("DATABASE_URL") == 1
