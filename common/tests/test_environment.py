from __future__ import annotations

import os
from typing import TYPE_CHECKING

from common.environment import read_env_file

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_file_fills_in_what_the_environment_does_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_BOTH", "environment")
    monkeypatch.setenv("SET_TO_NOTHING", "")
    for name in ("FROM_THE_FILE", "EMPTY_IN_THE_FILE"):
        monkeypatch.setenv(name, "so that it is put back afterwards")
        monkeypatch.delenv(name)
    file = tmp_path / ".env"
    file.write_text(
        "# a comment\nFROM_BOTH=file\nSET_TO_NOTHING=file\nEMPTY_IN_THE_FILE=\n"
        'FROM_THE_FILE={"orders": "postgresql://a:b@c:1/d?e=f&g=h"}\n'
    )
    read_env_file(file)
    assert os.environ["FROM_BOTH"] == "environment"
    assert os.environ["SET_TO_NOTHING"] == "file"
    assert os.environ["FROM_THE_FILE"] == '{"orders": "postgresql://a:b@c:1/d?e=f&g=h"}'
    assert "EMPTY_IN_THE_FILE" not in os.environ


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    before = dict(os.environ)
    read_env_file(tmp_path / ".env")
    assert dict(os.environ) == before
