"""The service as a process: its settings, and its behaviour without a database."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from common.tests.bad_settings import started_with
from common.tests.sample_service import VERIFIER, bearer
from services.inventory import main
from services.inventory.tests.calls import KETTLE, PRODUCTS, operator, problem

NOWHERE = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
_START = "from services.inventory.main import create_app; create_app()"


SETTINGS = {"PATH": os.environ["PATH"], "DATABASE_URL": NOWHERE, "JWKS_URL": "http://127.0.0.1:1/"}


def start(**changes: str) -> tuple[int, str]:
    command = [sys.executable, "-c", _START]
    ended = subprocess.run(command, env=SETTINGS | changes, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_the_app_starts_without_any_server() -> None:
    assert start()[0] == 0


@pytest.mark.parametrize(("name", "value"), [("JWKS_URL", ""), ("DATABASE_URL", "sqlite://")])
def test_an_invalid_setting_stops_the_process_and_is_named(name: str, value: str) -> None:
    code, output = started_with(main.create_app, SETTINGS | {name: value})
    assert (code, name in output) == (2, True)


def test_it_is_alive_and_returns_503_with_retry_after_without_its_database() -> None:
    settings = main.Settings(
        database_url=NOWHERE,
        database_timeout_seconds=60,
        jwks_url="http://127.0.0.1:1/",
        log_level="ERROR",
        service_port=1,
        service_host="127.0.0.1",
        service_threads=2,
    )
    client = main.create_app(settings, verifier=VERIFIER).test_client()
    started = time.monotonic()
    replies = [client.post(PRODUCTS, json=KETTLE, headers=operator()), client.get(PRODUCTS, headers=bearer())]
    assert time.monotonic() - started < 55  # its time-out is 60 s, and is not reached
    for reply in replies:
        assert problem(reply) == (503, "unavailable")
        assert int(reply.headers["Retry-After"]) >= 1
    assert (client.get("/livez").status_code, client.get("/readyz").status_code) == (200, 503)
