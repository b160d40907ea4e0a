"""An entry is on disk before the fault begins; another process restores all, last first, independently."""

import json
from pathlib import Path
from typing import Any

import pytest

from chaos_tests.actions import evidence, processes
from chaos_tests.actions.workloads import end_workload
from chaos_tests.runners.rollback_journal import BusyError, RollbackJournal

CONFIGURATION: dict[str, Any] = {"home": "nowhere"}


@pytest.fixture
def journal(tmp_path: Path) -> RollbackJournal:
    return RollbackJournal(tmp_path / "chaos" / "broken.json")


def test_another_process_reads_the_active_faults(journal: RollbackJournal, tmp_path: Path) -> None:
    journal.add(processes.resume, {"process": "relay-1"}, before="process 7")
    successor = RollbackJournal(tmp_path / "chaos" / "broken.json")
    assert successor.memory(processes.resume, {"process": "relay-1"}) == {"before": "process 7"}
    successor.remove(processes.resume, {"process": "relay-1"})
    assert journal.entries() == []


def test_adding_the_same_fault_twice_creates_one_entry(journal: RollbackJournal) -> None:
    for before in ("7", "8"):
        journal.add(processes.wait_until_back, {"process": "relay-1"}, before=before)
    assert [entry.memory for entry in journal.entries()] == [{"before": "8"}]


def test_all_entries_are_restored_in_reverse_order_and_failed_ones_stay(
    journal: RollbackJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def resume(process: str, configuration: dict[str, Any]) -> None:
        assert configuration == CONFIGURATION
        tried.append(process)
        if process == "second":
            raise OSError("stuck")
        journal.remove(processes.resume, {"process": process})

    for process in ("first", "second", "third"):
        journal.add(processes.resume, {"process": process})
    resume.__module__, resume.__name__ = processes.__name__, "resume"
    monkeypatch.setattr(processes, "resume", resume)
    restored, failed = journal.restore_all(CONFIGURATION)
    assert tried == ["third", "second", "first"]
    assert restored == ["resume third", "resume first"]
    assert failed == ["resume second: OSError('stuck')"]
    assert [entry.arguments for entry in journal.entries()] == [{"process": "second"}]


def test_entries_of_the_run_are_kept_when_its_faults_are_restored(journal: RollbackJournal) -> None:
    journal.add(end_workload, {"pid": 1, "start_ticks": -1}, of_the_run=True)
    assert journal.restore_all(CONFIGURATION, and_the_run=False) == ([], [])
    assert len(journal.entries()) == 1


def test_the_lock_admits_one_process_at_a_time(journal: RollbackJournal, tmp_path: Path) -> None:
    with journal.held(), pytest.raises(BusyError), RollbackJournal(tmp_path / "chaos" / "broken.json").held():
        pass
    with journal.held():
        pass


def test_only_restoring_functions_are_called(journal: RollbackJournal, tmp_path: Path) -> None:
    path = tmp_path / "chaos" / "broken.json"
    path.parent.mkdir()
    path.write_text(json.dumps([{"restore": "os:remove", "arguments": {"path": str(path)}, "memory": {}}]))
    assert journal.restore_all(CONFIGURATION)[1]
    assert path.exists()


def test_waiting_ends_after_a_time_out() -> None:
    with pytest.raises(TimeoutError, match="the moon: not within 0 s"):
        evidence.wait_until(lambda: False, 0.2, "the moon")
