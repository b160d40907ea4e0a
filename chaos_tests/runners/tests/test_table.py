"""The table never shows an experiment that did not run as a success, and reads the other suites' results."""

from pathlib import Path

from chaos_tests.runners import summary, table
from chaos_tests.runners.campaign import Result
from chaos_tests.runners.execution import Outcome
from chaos_tests.runners.experiments import load_all

EXPERIMENT = load_all()["rabbitmq-killed"]
FAULT = {
    "target": "rabbitmq", "began": 20.0, "ended": 30.0, "accepted_before": 50, "accepted_during": 20,
    "recovery_seconds": 1.25,
}  # fmt: skip
VERDICT = {"verdict": "valid", "promises": [], "conditions": [], "faults": [FAULT], "counts": {"accepted": 300}}


def test_a_row_has_recovery_and_throughput(tmp_path: Path) -> None:
    outcome = Outcome("rabbitmq-killed", "rabbitmq", took_effect=True, evidence="process 7 | was killed")
    row = table.row(EXPERIMENT, Result(tmp_path, [outcome], VERDICT, audit=True))
    assert (row.state, row.recovery_seconds, row.before, row.during) == ("valid", 1.25, 5.0, 2.0)
    table.write([row], tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text()
    assert "| rabbitmq | processes | valid | 10.0 s | 1.2 s | 5.0 | 2.0 | 300 | process 7 / was killed |" in text
    assert "Processes (`--driver local`): 1 of 1 valid." in text


def test_an_experiment_that_was_not_run_is_no_success(tmp_path: Path) -> None:
    row = table.row(EXPERIMENT, Result(tmp_path, [Outcome("rabbitmq-killed", "rabbitmq", not_run="needs root")]))
    table.write([row], tmp_path / "results.md")
    assert "**not run**" in (tmp_path / "results.md").read_text()
    assert "Not run: 1." in (tmp_path / "results.md").read_text()
    assert " valid." not in (tmp_path / "results.md").read_text()
    assert table.worst([row]) == "not run"


def test_a_repeated_experiment_replaces_only_its_own_row(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    assert table.read(page) == []
    table.write([table.Row("a", "A", "", "invalid", ""), table.Row("b", "B", "", "valid", "")], page)
    table.write(table.merged(table.read(page), [table.Row("a", "A", "", "valid", "restored")]), page)
    assert [(row.name, row.state) for row in table.read(page)] == [("a", "valid"), ("b", "valid")]
    assert "2 of 2 valid." in page.read_text()
    table.write(table.read(page), page, ["a", "b", "c"])
    assert "Not in this table yet: c." in page.read_text()


def test_each_driver_has_its_own_row(tmp_path: Path) -> None:
    outcome = Outcome("rabbitmq-killed", "rabbitmq", took_effect=True)
    on_processes = table.row(EXPERIMENT, Result(tmp_path, [outcome], VERDICT, audit=True))
    in_containers = table.row(EXPERIMENT, Result(tmp_path, [outcome], VERDICT, audit=False), "compose")
    rows = table.merged([in_containers], [on_processes])
    assert [(row.driver, row.state) for row in rows] == [("local", "valid"), ("compose", "invalid")]
    table.write(rows, tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text()
    assert "Processes (`--driver local`): 1 of 1 valid." in text
    assert "Containers (`--driver compose`): 0 of 1 valid." in text
    assert "| rabbitmq | containers | **invalid** |" in text


def test_an_unsupported_experiment_is_not_run_until_another_driver_runs_it() -> None:
    unable = table.Row("worker-scaled", "", "", table.NOT_RUN, "needs the compose driver")
    assert table.merged([], [unable]) == [unable]
    able = table.Row("worker-scaled", "", "worker-orders", "valid", "", driver="compose")
    assert table.merged([unable], [able]) == [able]
    assert table.merged([able], [unable]) == [able]


def test_a_failed_experiment_or_audit_overrides_a_valid_verdict(tmp_path: Path) -> None:
    passed = Outcome("e", "rabbitmq", took_effect=True)
    assert Result(tmp_path, [passed], VERDICT, audit=True).state == "valid"
    assert Result(tmp_path, [passed, Outcome("f", "", ["it failed"])], VERDICT, audit=True).state == "failed"
    assert Result(tmp_path, [passed], VERDICT, audit=False).state == "invalid"
    assert Result(tmp_path, [passed], VERDICT, audit=None).state == "unknown"
    assert Result(tmp_path, [passed], {}, audit=True).state == "unknown"


def test_other_suites_are_summarised_or_shown_as_not_run(tmp_path: Path) -> None:
    (tmp_path / "crash-points.md").write_text("# Crash points\n\nCrash points hit: 20 of 20 (100 %).\n")
    (tmp_path / "model-results.md").write_text(
        "| saga | safety | bounds | 1,200 | 2 | 3 | holds |\n\n36 of 36. Each is the same model with\n"
    )
    assert summary.of_other_suites(tmp_path) == [
        "* [Crash points](crash-points.md) hit: 20 of 20 (100 %).",
        "* [Mutants](mutants.md) of the running system caught: not run.",
        "* [The models](model-results.md): 1,200 states in 1 searches; mutants found: 36 of 36.",
    ]
