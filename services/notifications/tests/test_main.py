"""The service's process and its settings (`settings.py`)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from services.notifications.tests.builders import KEY

NOWHERE = "mongodb://127.0.0.1:1/notifications?directConnection=true"


def start(code: str, **environment: str) -> tuple[int, str]:
    known = {
        "PATH": os.environ["PATH"],
        "MONGODB_URL": NOWHERE,
        "JWKS_URL": "http://127.0.0.1:1/",
        "WEBHOOK_SECRET_KEYS": KEY,
    }
    ended = subprocess.run(
        [sys.executable, "-c", code], env=known | environment, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_it_is_made_without_asking_its_store() -> None:
    assert start("from services.notifications.main import create_app; create_app()")[0] == 0


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
def test_a_bad_setting_stops_it_and_names_itself(name: str, value: str) -> None:
    code, output = start("from services.notifications.main import create_app; create_app()", **{name: value})
    assert code == 2
    assert name in output
    assert "Traceback" not in output
