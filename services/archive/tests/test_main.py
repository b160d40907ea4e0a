"""The archive's processes and their settings."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from common.tests.bad_settings import started_with
from services.archive import main

NOWHERE = "mongodb://127.0.0.1:1/archive?directConnection=true"


SETTINGS = {"PATH": os.environ["PATH"], "MONGODB_URL": NOWHERE, "JWKS_URL": "http://127.0.0.1:1/"}


def start(code: str, **environment: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=SETTINGS | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_the_app_starts_without_mongodb() -> None:
    assert start("from services.archive.main import create_app; create_app()")[0] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("MONGODB_URL", ""), ("MONGODB_URL", "postgresql://x/y"), ("JWKS_URL", "x"), ("MONGODB_TIMEOUT_SECONDS", "0")],
)
def test_an_invalid_setting_stops_the_process_and_is_named(name: str, value: str) -> None:
    code, output = started_with(main.create_app, SETTINGS | {name: value})
    assert code == 2
    assert name in output
