"""The service's process and its settings (`settings.py`)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from common.tests.bad_settings import started_with
from services.notifications import main
from services.notifications.tests.builders import KEY

SETTINGS = {
    "PATH": os.environ["PATH"],
    "MONGODB_URL": "mongodb://127.0.0.1:1/notifications?directConnection=true",
    "JWKS_URL": "http://127.0.0.1:1/",
    "WEBHOOK_SECRET_KEYS": KEY,
}


def test_the_app_starts_without_mongodb() -> None:
    code = "from services.notifications.main import create_app; create_app()"
    subprocess.run([sys.executable, "-c", code], env=SETTINGS, timeout=60, check=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("WEBHOOK_SECRET_KEYS", value) for value in ("", "short", f"{KEY},")),
        *(("WEBHOOK_ALLOWED_NETWORKS", value) for value in ("10.0.0.1/8", "loopback")),
        *(("WEBHOOK_RETRY_SECONDS", value) for value in ("x", "1,,2", "-1", "nan", ",".join("1" * 21))),
        ("WEBHOOK_ENDPOINTS_PER_OWNER", "0"),
        ("MONGODB_URL", ""),
    ],
)
def test_an_invalid_setting_stops_the_process_and_is_named(name: str, value: str) -> None:
    code, output = started_with(main.create_app, SETTINGS | {name: value})
    assert code == 2
    assert name in output
