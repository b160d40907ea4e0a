"""Each process gets the variables that it reads, and no others."""

import re

import pytest

from common.settings import HttpSettings
from docs.configuration import settings_of, variables_of
from infrastructure.processes import PROCESSES, Process
from tests.test_tree import is_test, python_files

OURS = [line for line in PROCESSES if line.command]


def read_by(line: Process) -> tuple[set[str], set[str]]:
    """The variables that the process reads, and those of them that it cannot do without."""
    read = variables_of(settings_of(line))
    return {each.name for each in read}, {each.name for each in read if each.is_required}


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.name)
def test_a_process_gets_only_what_it_reads_and_all_that_it_needs(line: Process) -> None:
    known, needed = read_by(line)
    given = set(line.environment)
    assert given - known == set(), "it reads none of these"
    assert needed - given == set(), "it cannot start without these"


@pytest.mark.parametrize("name", ["LOG_LEVEL", "RETRY_ATTEMPTS", "CIRCUIT_BREAKER_MAX_FAILURES"])
def test_what_people_adjust_reaches_every_process_that_reads_it(name: str) -> None:
    readers = [line for line in OURS if not line.is_job and name in read_by(line)[0]]
    assert readers
    assert [line.name for line in readers if name not in line.environment] == []


def test_a_breaker_follows_its_setting_or_says_why_not() -> None:
    modules = [path for path in python_files("common", "services", "workers") if not is_test(path)]
    text = "".join(path.read_text(encoding="utf-8") for path in modules)
    breakers = list(re.finditer(r"((?:^ *#.*\n)*)^.*\bBreaker\(.*max_failures=(.*)$", text, re.MULTILINE))
    assert len(breakers) >= 6
    for made in breakers:
        follows = made[2].startswith("settings.circuit_breaker_max_failures")
        assert follows or "Not CIRCUIT_BREAKER_MAX_FAILURES:" in made[1], made[0]


def test_the_server_reads_nothing_that_a_service_does_not() -> None:
    services = [line for line in OURS if "gunicorn" in line.command]
    assert len(services) > 5
    assert all(issubclass(settings_of(line), HttpSettings) for line in services)
