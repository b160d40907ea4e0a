"""Each process gets the variables that it reads, and no others: `processes.py`, `process_variables.py`."""

import re

import pytest

from common.settings import HttpSettings
from docs.configuration import settings_of, variables_of
from infrastructure.processes import PROCESSES, Process
from tests.test_tree import is_test, python_files

OURS = [line for line in PROCESSES if line.command]


def read_by(line: Process) -> tuple[set[str], set[str]]:
    """The variables that the process reads, and the required ones among them."""
    read = variables_of(settings_of(line))
    return {each.name for each in read}, {each.name for each in read if each.is_required}


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.name)
def test_a_process_gets_only_used_and_all_required_variables(line: Process) -> None:
    known, needed = read_by(line)
    given = set(line.environment)
    assert given - known == set(), "it reads none of these"
    assert needed - given == set(), "it cannot start without these"


ADJUSTED = (
    *("LOG_LEVEL", "RETRY_ATTEMPTS", "CIRCUIT_BREAKER_MAX_FAILURES", "EVENT_BATCH_SIZE"),
    *("SERVICE_THREADS", "SERVICE_QUEUE", "SERVICE_WAIT_SECONDS", "WORKER_THREADS"),
)


@pytest.mark.parametrize("name", ADJUSTED)
def test_adjustable_settings_reach_every_process_that_reads_them(name: str) -> None:
    readers = [line for line in OURS if not line.is_job and name in read_by(line)[0]]
    assert readers
    assert [line.name for line in readers if name not in line.environment] == []


def test_a_breaker_uses_its_setting_or_documents_the_exception() -> None:
    modules = [path for path in python_files("common", "services", "workers") if not is_test(path)]
    text = "".join(path.read_text(encoding="utf-8") for path in modules)
    breakers = list(re.finditer(r"((?:^ *#.*\n)*)^.*\bBreaker\(.*max_failures=(.*)$", text, re.MULTILINE))
    assert len(breakers) >= 6
    for made in breakers:
        follows = made[2].startswith("settings.circuit_breaker_max_failures")
        assert follows or "Not CIRCUIT_BREAKER_MAX_FAILURES:" in made[1], made[0]


def test_gunicorn_reads_only_variables_of_services() -> None:
    services = [line for line in OURS if "gunicorn" in line.command]
    assert len(services) > 5
    assert all(issubclass(settings_of(line), HttpSettings) for line in services)
