"""Flower starts only with valid settings, and names invalid ones."""

import pytest

from common.settings import load
from infrastructure.flower.settings import Settings

GOOD = {
    "SERVICE_PORT": "5555",
    "FLOWER_BASIC_AUTH": "flower:long-enough",
    "RABBITMQ_URL": "amqp://flower:x@localhost/",
    "RABBITMQ_MANAGEMENT_URL": "http://flower:x@localhost:15672",
}


def test_valid_settings_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    found = load(Settings)
    assert (found.service_port, found.service_host) == (5555, "127.0.0.1")
    assert (found.log_level, found.flower_basic_auth) == ("INFO", "flower:long-enough")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLOWER_BASIC_AUTH", None),
        ("FLOWER_BASIC_AUTH", ""),
        ("FLOWER_BASIC_AUTH", "flower"),
        ("FLOWER_BASIC_AUTH", "flower:short"),
        ("RABBITMQ_URL", "http://localhost"),
        ("RABBITMQ_MANAGEMENT_URL", None),
        ("SERVICE_PORT", "0"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_invalid_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str | None
) -> None:
    for known, good in GOOD.items():
        monkeypatch.setenv(known, good)
    monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
    with pytest.raises(SystemExit):
        load(Settings)
    assert name in capsys.readouterr().err
