"""Every process takes the settings that it gets: what stands in the overlay, and the Secrets made for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from common.settings import load
from infrastructure.flower.settings import read_settings as read_flower
from infrastructure.kubernetes.tests.overlays import OVERLAYS, environment, of_kind
from infrastructure.kubernetes.tests.test_make_secrets import made
from infrastructure.kubernetes.tests.test_process_table import OURS, workloads
from infrastructure.sandbox.settings import read_settings as read_sandbox
from tests.test_tree_settings import settings_of, started_module

if TYPE_CHECKING:
    from infrastructure.processes import Process

READ_BY_THEMSELVES = {"sandbox": read_sandbox, "flower": read_flower}


def start(line: Process) -> object:
    """What the process does first: read its settings; SystemExit names the bad ones."""
    if line.name in READ_BY_THEMSELVES:
        return READ_BY_THEMSELVES[line.name]()
    settings = settings_of(started_module(line))
    assert settings is not None
    return load(settings)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_processes_take_the_settings_they_get(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = made(overlay)
    for line in OURS:
        for each in workloads(overlay, line):
            given = secrets.get(each["metadata"]["name"], {})
            values = {name: one.get("value", given.get(name, "")) for name, one in environment(each).items()}
            with monkeypatch.context() as patch:
                for name in os.environ:
                    patch.delenv(name)
                for name, value in values.items():
                    patch.setenv(name, value)
                try:
                    assert start(line)
                except SystemExit:
                    pytest.fail(f"{line.name} does not start")


def test_no_overlay_is_without_its_processes() -> None:
    for overlay in OVERLAYS:
        assert len(of_kind(overlay, "Deployment")) > len(OURS) / 2
