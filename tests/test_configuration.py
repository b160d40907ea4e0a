"""The settings page and the examples: current, complete, without collisions, and usable."""

from __future__ import annotations

import os
import re
from collections import Counter
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from dotenv import dotenv_values

from common.settings import load
from docs.configuration import ROOT, example, files, readers, settings_of, variables_of
from infrastructure.local.credentials import load_credentials
from infrastructure.local.env_files import FOLDERS, filled, folder_of, values_of
from infrastructure.local.home import open_home
from infrastructure.processes import PROCESSES

if TYPE_CHECKING:
    from pathlib import Path

    from infrastructure.processes import Process

FILES = files()
LINES = [line for line in PROCESSES if folder_of(line)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_generated_files_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path], "run `python -m docs.configuration`"


def read(text: str) -> dict[str, str]:
    """The variables of an .env file as the process reads them."""
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}


def test_every_main_has_an_example_next_to_it() -> None:
    mains = [path for package in ("services", "workers") for path in ROOT.glob(f"{package}/*/main.py")]
    assert set(FOLDERS) == {str(path.parent.relative_to(ROOT)) for path in mains}


def test_every_variable_has_a_description() -> None:
    for kind in readers().values():
        for variable in variables_of(kind):
            assert re.fullmatch(r"[A-Z].{15,115}[.)]", variable.meaning), variable


def test_all_examples_can_be_copied_side_by_side() -> None:
    ports = re.findall(r"^(?:SERVICE|METRICS)_PORT=(\d+)$", "".join(map(example, FOLDERS)), re.MULTILINE)
    assert len(ports) == len(FOLDERS) - 1  # the topology job listens on no port
    assert [port for port, count in Counter(ports).items() if count > 1] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_example_has_a_secret(folder: str) -> None:
    values = read(example(folder))
    secrets = {value for name, value in values.items() if name.endswith(("_KEY", "_PASSWORD"))}
    assert secrets <= {"", "sk_test_sandbox"}
    assert set(re.findall(r"://[^:/]+:([^@/]+)@", " ".join(values.values()))) <= {"PASSWORD"}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_process_starts_with_its_completed_example(
    line: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = open_home(tmp_path / "home", 9000)
    folder = folder_of(line)
    values = read(filled(example(folder), values_of(folder, home, load_credentials(home), {})))
    assert not [name for name, value in values.items() if ":PASSWORD@" in value]
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert load(settings_of(line))
