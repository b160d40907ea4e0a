"""Every process accepts its settings: the values of the overlay, and its generated Secrets."""

from __future__ import annotations

import os

import pytest

from common.settings import load
from docs.configuration import settings_of
from infrastructure.kubernetes.tests.overlays import OVERLAYS, environment, of_kind
from infrastructure.kubernetes.tests.test_make_secrets import made
from infrastructure.kubernetes.tests.test_process_table import OURS, workloads


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_processes_accept_their_settings(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
                    assert load(settings_of(line))
                except SystemExit:
                    pytest.fail(f"{line.name} does not start")


def test_every_overlay_has_its_processes() -> None:
    for overlay in OVERLAYS:
        assert len(of_kind(overlay, "Deployment")) > len(OURS) / 2
