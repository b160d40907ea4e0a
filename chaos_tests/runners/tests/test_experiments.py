"""The experiments are valid, restore what they change, and declare their requirements."""

import json
from pathlib import Path

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from chaos_tests.runners.experiments import Experiment, bound, load, load_all, only_process, pair
from chaos_tests.runners.requirements import NEEDS
from infrastructure.processes import PROCESSES

KNOWN = load_all()
CONTEXTS = {line.context for line in PROCESSES if line.context}
NAMES = {line.name for line in PROCESSES} | CONTEXTS | {"keeper"}


@pytest.mark.parametrize("name", KNOWN)
def test_an_experiment_is_valid_and_restores_at_its_end(name: str) -> None:
    experiment = KNOWN[name]
    ensure_experiment_is_valid(experiment.document)
    assert [activity["provider"]["func"] for activity in experiment.document["rollbacks"]] == ["heal"]
    assert [probe["provider"]["func"] for probe in experiment.document["steady-state-hypothesis"]["probes"]] == [
        "orders_go_through"
    ]
    assert set(experiment.requires) <= NEEDS
    assert set(experiment.targets) <= NAMES


@pytest.mark.parametrize("name", KNOWN)
def test_an_experiment_is_bound_to_each_target(name: str) -> None:
    for target in KNOWN[name].targets or ("",):
        experiment = bound(KNOWN[name], target, 3.5)
        assert "${" not in str(experiment.document["method"])
        ensure_experiment_is_valid(experiment.document)


def test_the_only_affected_context_is_found_by_its_connections() -> None:
    slow, isolated = bound(KNOWN["latency-injection"], "orders"), bound(KNOWN["process-isolated"])
    assert only_process([slow]) == only_process([slow, slow]) == "orders"
    assert only_process([slow, isolated]) == ""
    # Not for a killed process, nor for connections of all processes.
    assert only_process([bound(KNOWN["worker-killed"])]) == ""
    assert only_process([bound(KNOWN["rabbitmq-cut"])]) == ""
    assert only_process([]) == ""


def test_ten_experiments_are_quick() -> None:
    assert sum(experiment.quick for experiment in KNOWN.values()) == 10


def test_a_context_target_selects_its_process() -> None:
    assert KNOWN["worker-killed"].target("payments") == "worker-payments"
    assert KNOWN["latency-injection"].target("service-orders") == "orders"
    assert KNOWN["rabbitmq-killed"].target("rabbitmq") == "rabbitmq"
    with pytest.raises(LookupError, match="not rabbitmq"):
        KNOWN["worker-killed"].target("rabbitmq")


def test_both_faults_of_a_pair_are_injected_before_either_is_restored() -> None:
    both = pair(bound(KNOWN["worker-paused"], "orders", 2), bound(KNOWN["rabbitmq-refused"], "", 2))
    ensure_experiment_is_valid(both.document)
    assert [activity["provider"]["func"] for activity in both.document["method"]] == [
        "pause",
        "refuse",
        "accept",
        "resume",
    ]
    assert both.targets == ("worker-orders", "rabbitmq")


def test_a_killed_process_of_a_pair_restarts_during_the_other_fault() -> None:
    both = pair(bound(KNOWN["worker-killed"], "orders", 2), bound(KNOWN["rabbitmq-refused"], "", 2))
    assert _functions(both) == ["kill", "refuse", "accept", "wait_until_back"]


@pytest.mark.parametrize("names", [("worker-paused", "mongodb-steps-down"), ("mongodb-steps-down", "worker-paused")])
def test_a_single_action_of_a_pair_runs_during_the_other_fault(names: tuple[str, str]) -> None:
    both = pair(*(bound(KNOWN[name], "", 2) for name in names))
    assert _functions(both) == ["pause", "step_down", "resume"]


def test_two_single_actions_of_a_pair_run_concurrently() -> None:
    both = pair(bound(KNOWN["mongodb-steps-down"]), bound(KNOWN["postgres-deadlocks"], "", 2))
    ensure_experiment_is_valid(both.document)
    assert [activity.get("background", False) for activity in both.document["method"]] == [True, False]
    assert not any("background" in activity for activity in KNOWN["mongodb-steps-down"].document["method"])


def _functions(experiment: Experiment) -> list[str]:
    return [activity["provider"]["func"] for activity in experiment.document["method"]]


def _kind(directory: Path, **given: object) -> Path:
    path = directory / "strange.yaml"
    method = [{"name": "freeze it", "action": "processes.pause", "arguments": {"process": "${target}"}}]
    path.write_text(json.dumps({"method": method, "experiments": {"strange": {"title": "t"} | given}}))
    return path


def test_an_unknown_field_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="targetz"):
        load(_kind(tmp_path, targetz=["a"]))


def test_a_method_without_its_target_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs target"):
        load(_kind(tmp_path))


def test_an_experiment_may_have_its_own_method(tmp_path: Path) -> None:
    (found,) = load(_kind(tmp_path, method=[{"name": "step down", "action": "databases.step_down"}]))
    assert _functions(found) == ["step_down"]


def test_variables_keep_their_types() -> None:
    (misbehave, _) = KNOWN["provider-slow"].document["method"]
    assert misbehave["provider"]["arguments"]["fault"]["rate"] == 1.0
    assert KNOWN["postgres-paused"].document["method"][0]["pauses"] == {"after": "${seconds}"}
