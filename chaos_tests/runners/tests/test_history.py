"""A history is readable with any number of writers, and with a torn end."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chaos_tests.runners.checker.operations import gather
from chaos_tests.runners.history import Fault, History, read


def test_a_record_is_read_as_written(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.append("op", i=1, type="invoke", value={"key": "a"})
    [record] = read(history.path)
    assert record.pop("t_mono") > 0
    assert record == {"kind": "op", "i": 1, "type": "invoke", "value": {"key": "a"}}


def test_concurrent_writers_do_not_mix_lines(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"

    def write(writer: int) -> None:
        history = History(path)
        for number in range(200):
            history.append("op", i=number, writer=writer, filler="x" * 300)
        history.close()

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(write, range(8)))
    written = {(record["writer"], record["i"]) for record in read(path)}
    assert written == {(writer, number) for writer in range(8) for number in range(200)}


def test_a_torn_line_does_not_affect_others(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    whole = json.dumps({"kind": "op", "i": 1})
    path.write_text(f'{whole}\n{{"kind": "op", "i"\n[1]\n{whole}\n')
    assert [record["kind"] for record in read(path)] == ["op", "torn", "torn", "op"]


def test_faults_are_sorted_by_start(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    later = Fault("rabbitmq killed", began=20.0, ended=24.0, took_effect=True, evidence="pid 7 -> 9", target="rabbitmq")
    sooner = Fault("poison", began=3.0, ended=3.5, outage=False, dead_letters=2)
    history.fault(later)
    history.append("sample", outbox_rows=3)
    history.fault(sooner)
    assert gather(read(history.path)).faults == [sooner, later]
