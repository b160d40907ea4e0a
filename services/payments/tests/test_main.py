"""The service as a process: its settings, and its behaviour without a database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from common.messaging.events import new_id
from common.tests.bad_settings import started_with
from common.tests.sample_service import VERIFIER
from services.payments import main
from services.payments.tests.calls import REASON, get, problem, refund

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
_START = "from services.payments.main import create_app; create_app()"


SETTINGS = {
    "PATH": os.environ["PATH"],
    "DATABASE_URL": NOWHERE,
    "JWKS_URL": "http://127.0.0.1:1/",
    "STRIPE_API_KEY": "sk_test_nothing",
    "STRIPE_API_BASE": "http://127.0.0.1:1",
}


SAMPLE = main.Settings(
    database_url=NOWHERE,
    database_timeout_seconds=60,
    stripe_api_key="sk_test_nothing",
    stripe_api_base="http://127.0.0.1:1",
    stripe_timeout_seconds=1,
    circuit_breaker_max_failures=5,
    jwks_url="http://127.0.0.1:1/",
    log_level="ERROR",
    service_port=1,
    service_host="127.0.0.1",
    service_threads=2,
)


def start(**changes: str) -> tuple[int, str]:
    command = [sys.executable, "-c", _START]
    ended = subprocess.run(command, env=SETTINGS | changes, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_the_app_starts_without_any_server(tmp_path: Path) -> None:
    assert start(HOME=str(tmp_path))[0] == 0
    assert list(tmp_path.iterdir()) == []  # Stripe's client would store a telemetry id there


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite://"),
        ("STRIPE_API_KEY", ""),
        ("STRIPE_API_BASE", "localhost:8016"),
        ("STRIPE_TIMEOUT_SECONDS", "0"),
    ],
)
def test_an_invalid_setting_stops_the_process_and_is_named(name: str, value: str) -> None:
    code, output = started_with(main.create_app, SETTINGS | {name: value})
    assert (code, name in output) == (2, True)


def test_the_pool_has_a_connection_for_each_thread_and_the_readiness_check() -> None:
    app = main.create_app(SAMPLE, verifier=VERIFIER)
    assert app.extensions["context"].engine.pool.size() == 3


def test_it_is_alive_and_returns_503_with_retry_after_without_its_database() -> None:
    client = main.create_app(SAMPLE, verifier=VERIFIER).test_client()
    started = time.monotonic()
    replies = [get(client), get(client, f"/{new_id()}"), refund(client, new_id(), REASON, key="k")]
    assert time.monotonic() - started < 55  # its time-out is 60 s, and is not reached
    for reply in replies:
        assert problem(reply) == (503, "unavailable")
        assert int(reply.headers["Retry-After"]) >= 1
    assert (client.get("/livez").status_code, client.get("/readyz").status_code) == (200, 503)
