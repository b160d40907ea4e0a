"""A journal that only seems to be a pass is detected; Chaos Toolkit itself executes the runs."""

from copy import deepcopy
from typing import Any

import pytest

from chaos_tests.runners import journal as journals
from chaos_tests.runners.execution import execute, fault_of
from chaos_tests.runners.experiments import Experiment, pair
from chaos_tests.runners.tests import scenery


def python(func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": scenery.__name__, "func": func, "arguments": arguments}
    return {"type": "action", "name": func, "provider": provider}


def experiment(**changes: Any) -> Experiment:
    probe = {**python("is_steady"), "type": "probe", "tolerance": True}
    document = {
        "title": "t",
        "description": "d",
        "steady-state-hypothesis": {"title": "s", "probes": [probe]},
        "method": [python("do")],
        "rollbacks": [python("do")],
    }
    return Experiment("e", deepcopy(document) | changes)


def hypothesis(answers: list[bool]) -> dict[str, Any]:
    scenery.ANSWERS[:] = answers
    probe = {**python("next_answer"), "type": "probe", "tolerance": True}
    return {"steady-state-hypothesis": {"title": "s", "probes": [probe]}}


EXIT_3 = {"type": "process", "path": "sh", "arguments": ["-c", "exit 3"]}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (hypothesis([False]), "was not in its steady state before"),
        ({"method": [python("fail")]}, "fail failed: "),
        ({"method": [{"type": "action", "name": "a process", "provider": EXIT_3}]}, "a process failed: exit code 3"),
        ({"method": []}, "nothing was done"),
        ({"rollbacks": [python("fail")]}, "fail could not be rolled back"),
        ({"method": [python("terminate")]}, "it ended as interrupted"),
    ],
)
def test_a_failed_experiment_is_not_a_pass(changes: dict[str, Any], complaint: str) -> None:
    if "steady-state-hypothesis" in changes:
        scenery.ANSWERS[:] = [False]
    outcome = execute(experiment(**changes), {})
    assert not outcome.passed
    assert any(complaint in each for each in outcome.complaints), outcome.complaints
    assert outcome.was_interrupted == (complaint == "it ended as interrupted")


def test_a_signal_reported_as_a_failed_activity_is_an_interruption() -> None:
    run = {"activity": {"name": "a"}, "status": "failed", "exception": ["ActivityFailed: InterruptExecution: SIGTERM"]}
    assert journals.was_interrupted({"status": "completed", "run": [run]})
    assert not journals.was_interrupted({"status": "completed", "run": [run | {"exception": ["OSError"]}]})


def test_a_system_that_does_not_recover_is_not_a_pass() -> None:
    outcome = execute(experiment(**hypothesis([True, False])), {})
    assert "the system was not in its steady state afterwards" in outcome.complaints


def test_a_fault_without_an_effect_is_not_a_pass() -> None:
    outcome = execute(experiment(method=[python("do"), python("do", took_effect=False)]), {})
    assert not outcome.complaints
    assert outcome.took_effect is False
    assert not outcome.passed


def test_a_pass_has_a_window_and_evidence() -> None:
    outcome = execute(experiment(method=[python("do", took_effect=True), python("do")]), {})
    assert outcome.passed
    assert outcome.evidence == "done; done"
    fault = fault_of(experiment(), outcome)
    assert fault is not None
    assert fault.took_effect is True
    assert 0 < fault.began <= fault.ended


def test_a_method_that_never_began_is_no_fault() -> None:
    scenery.ANSWERS[:] = [False]
    never = experiment(**hypothesis([False]))
    assert fault_of(never, execute(never, {})) is None


def test_one_effective_fault_of_a_pair_is_sufficient() -> None:
    journal = {
        "run": [{"output": {"took_effect": took_effect, "evidence": "seen"}} for took_effect in (True, None, False)]
    }
    assert journals.evidence(journal)[0] is False
    assert journals.evidence(journal, is_pair=True)[0] is True
    assert journals.evidence({"run": journal["run"][1:]}, is_pair=True)[0] is False


def test_two_concurrent_activities_are_both_in_the_journal() -> None:
    one, other = (
        experiment(method=[python("do", took_effect=took_effect)], configuration={}) for took_effect in (True, False)
    )
    outcome = execute(pair(one, other), {})
    assert outcome.passed
    assert outcome.evidence == "done; done"
    failing = experiment(method=[python("fail")], configuration={})
    assert len(execute(pair(failing, one), {}).complaints) == 1
