"""Samples of memory and storage from a running stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chaos_tests.runners import resources
from chaos_tests.runners.history import read
from chaos_tests.runners.resources import sampled

if TYPE_CHECKING:
    from pathlib import Path

    from infrastructure.local.stack import Stack


@pytest.mark.e2e
@pytest.mark.timeout(600)  # the stack may have to start first
def test_a_sample_has_every_process_and_every_store(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "LAST_SECONDS", 240.0)
    history = tmp_path / "history.jsonl"
    with sampled({"home": str(stack.home.path)}, history):
        pass
    [sample] = read(history)
    assert sample["kind"] == "resources"
    assert set(sample["memory"]) == {each["name"] for each in stack.status()["processes"] if each["pid"]}
    assert all(size > 1_000_000 for size in sample["memory"].values())
    assert {"orders.orders", "payments.outbox", "inventory.inbox", "archive.events"} <= set(sample["storage"])
