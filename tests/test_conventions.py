"""The repository's conventions: make's targets, local hooks, the workflow."""

import re
import subprocess

import pytest
import yaml

from tests.test_tree import ROOT

TARGETS = {"help", "setup", "demo", "test", "unit", "lint", "up", "down", "clean", "lock"}


def make(*words: str) -> str:
    done = subprocess.run(["make", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def test_make_lists_every_target_with_a_sentence() -> None:
    lines = dict(line.removeprefix("make ").split(maxsplit=1) for line in make().splitlines())
    assert lines.keys() == TARGETS
    assert all(sentence.endswith(".") for sentence in lines.values())


@pytest.mark.parametrize("target", ["demo", "up"])
def test_what_only_runs_the_system_installs_no_packages_for_tests(target: str) -> None:
    assert "setup.sh" in make("--dry-run", target)
    assert "--tests" not in make("--dry-run", target)


@pytest.mark.parametrize("target", ["unit", "lint"])
def test_what_needs_no_server_fetches_none(target: str) -> None:
    assert "setup.sh --tests --without-servers" in make("--dry-run", target)


def test_hooks_are_local_and_run_what_set_up_has_installed() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [each["repo"] for each in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {each["language"] for each in hooks} == {"system"}
    assert [each["entry"] for each in hooks if not (ROOT / each["entry"].split()[0]).exists()] == []


def test_the_workflow_runs_what_a_developer_runs_and_says_that_it_was_not_run() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert text.startswith("# Not run by this project yet")
    steps = yaml.safe_load(text)["jobs"]["test"]["steps"]
    assert [each["run"] for each in steps if "run" in each] == [".ci/run"]
    assert re.search(r"^exec make .* test$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
