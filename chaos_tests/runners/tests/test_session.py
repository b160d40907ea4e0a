"""The options of other commands for the system of a session."""

import pytest

from chaos_tests.runners.session import _address


def test_no_password_is_on_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PASSWORD", "secret")
    monkeypatch.setenv("HOLDFAST_RABBITMQ_MANAGEMENT", "http://monitor:secret@127.0.0.1:8012")
    monkeypatch.setenv("HOLDFAST_URL", "http://127.0.0.1:9000")
    words = _address({"driver": "compose", "project": "of-nobody", "home": "."})
    assert words[:2] == ["--url", "http://127.0.0.1:9000"]
    assert "secret" not in " ".join(words)
