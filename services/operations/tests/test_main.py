"""The processes of operations and their settings."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from common.tests.bad_settings import started_with
from services.operations import main

NOWHERE = "mongodb://127.0.0.1:1/operations?directConnection=true"
MAKE = "from services.operations.main import create_app; create_app()"


SETTINGS = {"PATH": os.environ["PATH"], "MONGODB_URL": NOWHERE, "JWKS_URL": "http://127.0.0.1:1/"}


def start(**environment: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-c", MAKE],
        env=SETTINGS | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_the_app_starts_without_any_server() -> None:
    assert (
        start(METRICS_URLS='{"a": "http://127.0.0.1:1/metrics"}', RABBITMQ_MANAGEMENT_URL="http://x:y@127.0.0.1:1")[0]
        == 0
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGODB_URL", ""),
        ("METRICS_URLS", "[]"),
        ("METRICS_URLS", '{"a": "ftp://x"}'),
        ("METRICS_URLS", '{"a": 1}'),
        ("METRICS_URLS", "{"),
        ("RABBITMQ_MANAGEMENT_URL", "amqp://x/"),
        ("TRACE_URL_TEMPLATE", "http://traces.example/"),
        ("TRACE_URL_TEMPLATE", "javascript:{trace_id}"),
    ],
)
def test_an_invalid_setting_stops_the_process_and_is_named(name: str, value: str) -> None:
    code, output = started_with(main.create_app, SETTINGS | {name: value})
    assert code == 2
    assert name in output
