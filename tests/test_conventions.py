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


def test_make_lists_every_target_with_a_description() -> None:
    lines = dict(line.removeprefix("make ").split(maxsplit=1) for line in make().splitlines())
    assert lines.keys() == TARGETS
    assert all(sentence.endswith(".") for sentence in lines.values())


@pytest.mark.parametrize("target", ["demo", "up"])
def test_targets_that_run_the_system_install_no_test_packages(target: str) -> None:
    assert "setup.sh" in make("--dry-run", target)
    assert "--tests" not in make("--dry-run", target)


@pytest.mark.parametrize("target", ["unit", "lint"])
def test_targets_without_servers_download_none(target: str) -> None:
    assert "setup.sh --tests --without-servers" in make("--dry-run", target)


def test_hooks_are_local_and_run_installed_tools() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [each["repo"] for each in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {each["language"] for each in hooks} == {"system"}
    assert [each["entry"] for each in hooks if not (ROOT / each["entry"].split()[0]).exists()] == []


def test_the_workflow_runs_the_developers_commands_and_is_marked_as_untested() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert text.startswith("# Not run by this project yet")
    steps = yaml.safe_load(text)["jobs"]["test"]["steps"]
    assert [each["run"] for each in steps if "run" in each] == [".ci/run"]
    assert re.search(r"^exec make .* test$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
