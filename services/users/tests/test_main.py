"""The service as a process: its settings, and its behaviour without a database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from common.tests.bad_settings import started_with
from services.users import main
from services.users.tests.accounts import JOHN, NOWHERE, answer, settings, signing_key

if TYPE_CHECKING:
    from flask.testing import FlaskClient

_START = "from services.users.main import create_app; create_app()"


SETTINGS = {"PATH": os.environ["PATH"], "DATABASE_URL": NOWHERE, "TOKEN_SIGNING_KEY": signing_key()}


def _start(**changes: str) -> tuple[int, str]:
    command = [sys.executable, "-c", _START]
    ended = subprocess.run(command, env=SETTINGS | changes, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_the_app_starts_without_the_database() -> None:
    assert _start()[0] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKEN_SIGNING_KEY", "c2VjcmV0LW5vbnNlbnNl"),
        ("TOKEN_SIGNING_KEY", ""),
        ("TOKEN_PUBLIC_KEYS", "c2VjcmV0LW5vbnNlbnNl"),
        ("CONTACT_TOKENS", "c2VjcmV0"),
        ("DATABASE_URL", "sqlite://"),
        ("SERVICE_THREADS", "0"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_an_invalid_setting_stops_the_process_and_is_named(name: str, value: str) -> None:
    code, output = started_with(main.create_app, SETTINGS | {name: value})
    assert code == 2
    assert name in output
    assert "c2VjcmV0" not in output


def test_a_quota_for_another_route_keeps_the_default_quotas() -> None:
    chosen = replace(settings(NOWHERE), rate_limit_routes="POST /api/v1/orders=5/minute")
    reply = main.create_app(chosen).test_client().post("/api/v1/users", data=b"{")
    assert reply.headers["RateLimit-Policy"] == '"POST /api/v1/users";q=60;w=3600'


def test_it_is_alive_and_returns_503_with_retry_after_without_its_database(lonely_client: FlaskClient) -> None:
    started = time.monotonic()
    reply = lonely_client.post("/api/v1/users", json=JOHN)
    assert time.monotonic() - started < 55  # its time-out is 60 s, and is not reached
    assert (reply.status_code, answer(reply)["code"]) == (503, "unavailable")
    assert 1 <= int(reply.headers["Retry-After"]) <= 3
    assert lonely_client.get("/livez").status_code == 200
    assert lonely_client.get("/readyz").status_code == 503
    assert lonely_client.get("/.well-known/jwks.json").status_code == 200
