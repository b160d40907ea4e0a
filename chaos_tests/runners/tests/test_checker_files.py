"""The checker's files keep all values, and an incomplete file is rejected."""

import json
from pathlib import Path

import pytest

from chaos_tests.runners.checker import snapshot as snapshots
from chaos_tests.runners.checker.check import check
from chaos_tests.runners.checker.synthetic import make
from chaos_tests.runners.history import read

WISHES = 150


def test_values_survive_a_round_trip_through_files(tmp_path: Path) -> None:
    made = make(WISHES)
    history, snapshot = tmp_path / "history.jsonl", tmp_path / "snapshot.jsonl"
    history.write_text("".join(f"{json.dumps(each)}\n" for each in made.records))
    snapshots.write(made.snapshot, snapshot)
    assert check(read(history), snapshots.load(snapshot)) == check(made.records, made.snapshot)


def test_an_incomplete_snapshot_is_rejected(tmp_path: Path) -> None:
    made = make(WISHES)
    path = tmp_path / "snapshot.jsonl"
    snapshots.write(made.snapshot, path)
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    with pytest.raises(ValueError, match="complete"):
        snapshots.load(path)
