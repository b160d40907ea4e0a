"""Rules for the image, checked on its Dockerfile. (A scanner checks more: `tox -e iac`.)"""

import re
from pathlib import Path

from infrastructure.docker.tests.dockerfile import instructions

ROOT = Path(__file__).parents[3]
ALL = instructions()
LAST = [each for each in ALL if each.stage == ALL[-1].stage]


def words(word: str) -> list[str]:
    return [each.rest for each in LAST if each.word == word]


def test_the_image_is_built_in_stages_from_a_pinned_base() -> None:
    stages = [each.rest for each in ALL if each.word == "FROM"]
    assert len(stages) > 1
    base = next(each.rest for each in ALL if each.word == "ARG" and each.rest.startswith("PYTHON_IMAGE="))
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+-slim-\w+", base)
    assert all(stage.startswith("${PYTHON_IMAGE} AS ") for stage in stages)


def test_libraries_are_installed_with_locked_hashes() -> None:
    installs = [each for each in ALL if each.word == "RUN" and re.search(r"pip\b[^&]* install ", each.rest)]
    assert len(installs) == 1
    assert installs[0].stage == "libraries"
    assert "--no-deps --require-hashes" in installs[0].rest
    lock = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z][\w.-]*(?:\[[\w,]+\])?==\S+.*", lock, re.MULTILINE)
    assert len(pins) > 30
    assert lock.count("--hash=sha256:") >= len(pins)


def test_the_image_runs_as_a_numeric_unprivileged_user() -> None:
    assert words("USER") == ["10001:10001"]
    position = [each.word for each in LAST].index("USER")
    assert not {"RUN", "COPY"} & {each.word for each in LAST[position:]}


def test_the_image_contains_no_build_tools_and_downloads_nothing() -> None:
    text = " ".join(words("RUN"))
    assert "pip uninstall" in text
    for tool in ("apt-get", "gcc", "build-essential", "curl", "wget", "git "):
        assert tool not in text
    assert not [each for each in ALL if each.word == "ADD"]


def test_the_image_has_a_health_check_a_command_and_no_secret() -> None:
    assert "health.py" in words("HEALTHCHECK")[0]
    assert len(words("CMD")) == 1
    named = " ".join(each.rest for each in ALL if each.word in {"ARG", "ENV"})
    assert not re.search(r"PASSWORD|SECRET|TOKEN|_KEY", named)


def test_the_build_context_contains_only_needed_files() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {each.rest.split()[0] for each in ALL if each.word == "COPY" and "--from" not in each.rest}
    assert sent == copied
