"""One fault at a time, which ends after its duration, even if its process dies: `injection.py`."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from holdfast.control.injection import MAX_ACTS, FaultActiveError, Injection
from holdfast.control.tests.conftest import LASTING, MOMENTARY, Recorder, injecting
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

UNDONE = ("undo", "lasting", "")


def acts(injection: Injection) -> list[tuple[str, str]]:
    return [(each["act"], each["by"]) for each in injection.acts]


def test_a_fault_ends_automatically_and_each_action_is_recorded(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with injecting(recorder, tmp_path) as injection:
        injection.start(LASTING, "", 300, "olga")
        assert injection.active
        assert (injection.active["fault"], injection.active["by"]) == ("lasting", "olga")
        over = time.time() + 300
        monkeypatch.setattr("holdfast.control.injection.time.time", lambda: over)
        eventually(lambda: injection.active, lambda active: active is None, seconds=60)
        assert recorder.calls == [("inject", "lasting", ""), UNDONE]
        assert acts(injection) == [("undone", "automatic"), ("injected", "olga")]


def test_a_second_fault_is_rejected_until_the_first_is_undone(recorder: Recorder, tmp_path: Path) -> None:
    with injecting(recorder, tmp_path) as injection:
        injection.start(LASTING, "", 300, "olga")
        with pytest.raises(FaultActiveError):
            injection.start(MOMENTARY, "a", 5, "pavel")
        assert injection.undo("pavel")
        assert injection.active is None
        assert acts(injection)[0] == ("undone", "pavel")
        injection.start(MOMENTARY, "a", 5, "pavel")
        assert injection.active is None, "there is nothing to undo"
        assert recorder.calls[-1] == ("inject", "momentary", "a")


def test_a_successor_undoes_the_fault_of_a_killed_process(recorder: Recorder, tmp_path: Path) -> None:
    killed = Injection(recorder, tmp_path / "killed")
    killed.start(LASTING, "", 300, "olga")
    record = json.loads((tmp_path / "killed" / "fault.json").read_text())
    record["started_at"] = (datetime.now(UTC) - timedelta(seconds=301)).isoformat()
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "fault.json").write_text(json.dumps(record))
    killed.close()
    recorder.calls.clear()
    with injecting(recorder, tmp_path / "left") as successor:
        eventually(lambda: successor.active, lambda active: active is None, seconds=60)
    assert recorder.calls == [UNDONE]


def test_undoing_is_retried_until_it_succeeds(recorder: Recorder, tmp_path: Path) -> None:
    recorder.failures["undo"] = 2
    with injecting(recorder, tmp_path) as injection:
        injection.start(LASTING, "", 300, "olga")
        assert not injection.undo("olga")
        assert injection.active
        assert injection.active["problem"] == "undo failed"
        eventually(lambda: injection.active, lambda active: active is None, seconds=60)
    assert recorder.calls.count(UNDONE) == 3


def test_a_failed_injection_is_undone(recorder: Recorder, tmp_path: Path) -> None:
    recorder.failures["inject"] = 1
    with injecting(recorder, tmp_path) as injection:
        with pytest.raises(OSError, match="inject failed"):
            injection.start(LASTING, "", 300, "olga")
        assert injection.active is None
    assert recorder.calls[-1] == UNDONE


def test_setting_the_clock_back_does_not_prolong_a_fault(recorder: Recorder, tmp_path: Path) -> None:
    ahead = {"started_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(), "seconds": 60}
    known = {"id": "1", "fault": "lasting", "title": "", "target": "", "by": "olga", "problem": ""}
    (tmp_path / "fault.json").write_text(json.dumps(known | ahead))
    with injecting(recorder, tmp_path) as injection:
        eventually(lambda: injection.active, lambda active: active is None, seconds=60)


def test_closing_undoes_the_fault_and_the_record_is_bounded(recorder: Recorder, tmp_path: Path) -> None:
    with injecting(recorder, tmp_path) as injection:
        for _ in range(MAX_ACTS):
            injection.start(MOMENTARY, "b", 5, "olga")
        injection.start(LASTING, "", 300, "olga")
    assert recorder.calls[-1] == UNDONE
    with injecting(recorder, tmp_path) as successor:
        assert successor.active is None
        assert len(successor.acts) == MAX_ACTS
        assert acts(successor)[:2] == [("undone", "automatic"), ("injected", "olga")]
