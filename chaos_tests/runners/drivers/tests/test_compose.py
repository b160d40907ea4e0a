"""The compose driver on a container engine, with containers that do nothing: `tox -e containers`."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from chaos_tests.actions import containers, processes
from chaos_tests.runners.drivers.compose import COMMAND, Compose
from chaos_tests.runners.drivers.driver import driver_of

pytestmark = pytest.mark.containers

IMAGE = "python:3.11-slim-bookworm"
IDLE = {"image": IMAGE, "command": ["sleep", "900"], "init": True}
HEALTHY_AFTER_A_WHILE = {"test": ["CMD", "test", "-e", "/proc/1"], "interval": "1s", "retries": 3}
STUBBORN = {"image": IMAGE, "command": ["sleep", "900"], "stop_grace_period": "1s"}  # number 1 ignores SIGTERM
SERVICES = {"scheduler": STUBBORN, "relay-1": IDLE, "worker-orders": IDLE | {"healthcheck": HEALTHY_AFTER_A_WHILE}}
Configuration = dict[str, Any]


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=180).stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A project of two services, in a directory of its own."""
    name, directory = f"holdfast-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("compose")
    (directory / "compose.yaml").write_text(json.dumps({"version": "3.8", "services": SERVICES}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        run(*COMMAND, "--project-name", name, "up", "--detach")
        try:
            yield name
        finally:
            run(*COMMAND, "--project-name", name, "down", "--timeout", "1")


@pytest.fixture
def configuration(project: str) -> Configuration:
    return {"driver": "compose", "project": project}


@pytest.fixture
def driver(configuration: Configuration) -> Compose:
    found = driver_of(configuration)
    assert isinstance(found, Compose)
    return found


def knows(asking: str, name: str) -> bool:
    """Whether a container reaches another by its name."""
    lookup = f"import socket; socket.gethostbyname({name!r})"
    words = ["docker", "exec", asking, "python", "-c", lookup]
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0


def test_a_killed_container_is_another_afterwards(driver: Compose, configuration: Configuration) -> None:
    before = driver.identity("relay-1")
    assert before
    assert processes.kill("relay-1", configuration)["bit"]
    assert processes.wait_until_back("relay-1", configuration)["bit"]
    assert driver.identity("relay-1") not in {"", before}


@pytest.mark.parametrize("kills", [True, False])
def test_a_run_that_died_before_it_started_what_it_killed_is_healed(
    kills: bool, driver: Compose, configuration: Configuration
) -> None:
    before = driver.identity("relay-1")
    driver.journal.add(processes.wait_until_back, {"process": "relay-1"})
    if kills:
        driver.kill("relay-1")
        assert driver.identity("relay-1") == ""
    assert driver.journal.restore_all(configuration) == (["wait_until_back relay-1"], [])
    assert driver.identity("relay-1")
    assert (driver.identity("relay-1") == before) is not kills


def test_a_paused_container_does_nothing_until_it_is_resumed(driver: Compose, configuration: Configuration) -> None:
    assert processes.pause("relay-1", configuration)["bit"]
    assert driver.is_paused("relay-1")
    assert "was frozen still" in processes.resume("relay-1", configuration)["evidence"]
    assert not driver.is_paused("relay-1")
    driver.resume("relay-1")  # it runs: nothing to do


def test_a_stopped_container_stays_so_until_it_is_started(driver: Compose, configuration: Configuration) -> None:
    assert processes.stop("relay-1", configuration)["bit"]
    assert driver.identity("relay-1") == ""
    processes.start("relay-1", configuration)
    assert driver.identity("relay-1")


def test_what_had_to_be_killed_was_not_stopped_gracefully(driver: Compose, configuration: Configuration) -> None:
    with pytest.raises(OSError, match="scheduler did not end"):
        processes.stop("scheduler", configuration)
    with pytest.raises(OSError, match="scheduler did not end"):
        processes.roll(configuration, ["relay-1", "scheduler"])
    restored, failed = driver.journal.restore_all(configuration)
    assert (len(restored), failed) == (2, [])
    assert driver.identity("scheduler")
    assert not driver.journal.entries()


def test_restarted_one_after_the_other_each_is_healthy_before_the_next(
    driver: Compose, configuration: Configuration
) -> None:
    assert processes.roll(configuration, ["relay-1", "worker-orders"])["bit"]
    assert driver.is_ready("worker-orders")
    assert driver.is_ready("relay-1")


def test_a_container_cut_off_is_reached_by_its_name_when_it_is_back(
    driver: Compose, configuration: Configuration, project: str
) -> None:
    (asking,) = driver.containers("worker-orders")
    assert knows(asking, "relay-1")
    assert containers.isolate("relay-1", configuration)["bit"]
    assert not knows(asking, "relay-1")
    containers.reconnect("relay-1", configuration)
    assert driver.networks("relay-1") == [f"{project}_default"]
    assert knows(asking, "relay-1")


def test_scaled_and_back_leaving_the_first_container_and_the_others_alone(
    driver: Compose, configuration: Configuration
) -> None:
    first, other = driver.identity("worker-orders"), driver.identity("relay-1")
    assert containers.scale("worker-orders", 3, configuration)["bit"]
    assert driver.count("worker-orders") == 3
    assert driver.count("relay-1") == 1
    containers.scale_back("worker-orders", configuration)
    assert (driver.identity("worker-orders"), driver.identity("relay-1")) == (first, other)


def test_a_container_run_once_beside_the_service_is_not_struck(driver: Compose, project: str) -> None:
    once = run(*COMMAND, "--project-name", project, "run", "--detach", "--no-deps", "relay-1", "sleep", "900")
    try:
        assert driver.count("relay-1") == 1
    finally:
        run("docker", "rm", "--force", once)


def test_what_a_dead_run_left_broken_is_healed(driver: Compose, configuration: Configuration) -> None:
    """As `holdfast chaos heal` does it: another process, which knows the list on disk only."""
    containers.isolate("relay-1", configuration)
    processes.pause("worker-orders", configuration)
    restored, failed = Compose(configuration["project"]).journal.restore_all(configuration)
    assert (len(restored), failed) == (2, [])
    assert driver.networks("relay-1")
    assert not driver.is_paused("worker-orders")
    assert not driver.journal.entries()


def test_a_process_that_has_no_container_is_named(configuration: Configuration) -> None:
    with pytest.raises(LookupError, match="no container of flower"):
        processes.kill("flower", configuration)
