"""The compose driver on a container engine, with idle containers: `tox -e containers`."""

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
STUBBORN = {
    "image": IMAGE,
    "command": ["sleep", "900"],
    "stop_grace_period": "1s",
}  # the process with pid 1 ignores SIGTERM
SERVICES = {"scheduler": STUBBORN, "relay-1": IDLE, "worker-orders": IDLE | {"healthcheck": HEALTHY_AFTER_A_WHILE}}
Configuration = dict[str, Any]


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=180).stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A project of two services in a separate directory."""
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
    """Whether a container resolves and reaches another by its name."""
    lookup = f"import socket; socket.gethostbyname({name!r})"
    words = ["docker", "exec", asking, "python", "-c", lookup]
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0


def test_a_killed_container_has_a_new_identity(driver: Compose, configuration: Configuration) -> None:
    before = driver.identity("relay-1")
    assert before
    assert processes.kill("relay-1", configuration)["took_effect"]
    assert processes.wait_until_back("relay-1", configuration)["took_effect"]
    assert driver.identity("relay-1") not in {"", before}


@pytest.mark.parametrize("kills", [True, False])
def test_heal_starts_a_container_killed_by_a_dead_run(
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


def test_a_paused_container_is_frozen_until_it_is_resumed(driver: Compose, configuration: Configuration) -> None:
    assert processes.pause("relay-1", configuration)["took_effect"]
    assert driver.is_paused("relay-1")
    assert "was frozen still" in processes.resume("relay-1", configuration)["evidence"]
    assert not driver.is_paused("relay-1")
    driver.resume("relay-1")  # it already runs


def test_a_stopped_container_stays_stopped_until_it_is_started(driver: Compose, configuration: Configuration) -> None:
    assert processes.stop("relay-1", configuration)["took_effect"]
    assert driver.identity("relay-1") == ""
    processes.start("relay-1", configuration)
    assert driver.identity("relay-1")


def test_a_container_killed_after_its_grace_period_is_an_error(driver: Compose, configuration: Configuration) -> None:
    with pytest.raises(OSError, match="scheduler did not end"):
        processes.stop("scheduler", configuration)
    with pytest.raises(OSError, match="scheduler did not end"):
        processes.roll(configuration, ["relay-1", "scheduler"])
    restored, failed = driver.journal.restore_all(configuration)
    assert (len(restored), failed) == (2, [])
    assert driver.identity("scheduler")
    assert not driver.journal.entries()


def test_containers_restart_one_by_one_when_healthy(driver: Compose, configuration: Configuration) -> None:
    assert processes.roll(configuration, ["relay-1", "worker-orders"])["took_effect"]
    assert driver.is_ready("worker-orders")
    assert driver.is_ready("relay-1")


def test_a_reconnected_container_is_reachable_by_its_name(
    driver: Compose, configuration: Configuration, project: str
) -> None:
    (asking,) = driver.containers("worker-orders")
    assert knows(asking, "relay-1")
    assert containers.isolate("relay-1", configuration)["took_effect"]
    assert not knows(asking, "relay-1")
    containers.reconnect("relay-1", configuration)
    assert driver.networks("relay-1") == [f"{project}_default"]
    assert knows(asking, "relay-1")


def test_scaling_back_keeps_the_first_container_and_other_services(
    driver: Compose, configuration: Configuration
) -> None:
    first, other = driver.identity("worker-orders"), driver.identity("relay-1")
    assert containers.scale("worker-orders", 3, configuration)["took_effect"]
    assert driver.count("worker-orders") == 3
    assert driver.count("relay-1") == 1
    containers.scale_back("worker-orders", configuration)
    assert (driver.identity("worker-orders"), driver.identity("relay-1")) == (first, other)


def test_one_off_containers_are_not_affected(driver: Compose, project: str) -> None:
    once = run(*COMMAND, "--project-name", project, "run", "--detach", "--no-deps", "relay-1", "sleep", "900")
    try:
        assert driver.count("relay-1") == 1
    finally:
        run("docker", "rm", "--force", once)


def test_heal_restores_the_faults_of_a_dead_run(driver: Compose, configuration: Configuration) -> None:
    """Like `holdfast chaos heal`: another process, which knows only the journal on disk."""
    containers.isolate("relay-1", configuration)
    processes.pause("worker-orders", configuration)
    restored, failed = Compose(configuration["project"]).journal.restore_all(configuration)
    assert (len(restored), failed) == (2, [])
    assert driver.networks("relay-1")
    assert not driver.is_paused("worker-orders")
    assert not driver.journal.entries()


def test_a_process_without_a_container_is_named(configuration: Configuration) -> None:
    with pytest.raises(LookupError, match="no container of flower"):
        processes.kill("flower", configuration)
