"""`holdfast env --compose` gives a native process the values that compose.yaml gives its container."""

import re

import pytest

from infrastructure.docker.tests.composed import compose, variables
from infrastructure.local import compose_env
from infrastructure.local.env_files import FOLDERS, folder_of
from infrastructure.processes import PROCESSES, Process

PORTS = {"POSTGRES_PORT": "1", "RABBITMQ_PORT": "2", "MONGODB_PORT": "3", "RABBITMQ_MANAGEMENT_PORT": "4"}
VALUES = variables() | PORTS
SERVICES = compose(VALUES)["services"]
SECRET = re.compile(r"[0-9a-f]{32}|[A-Za-z0-9+/]{100,}")


@pytest.mark.parametrize("line", [line for line in PROCESSES if folder_of(line)], ids=lambda line: line.name)
def test_a_native_process_has_the_secrets_of_its_container(line: Process) -> None:
    native = compose_env.values_of(folder_of(line), VALUES)
    for name, value in SERVICES[line.name]["environment"].items():
        if secrets := SECRET.findall(str(value)):
            assert SECRET.findall(native[name]) == secrets, name


def test_ports_match_compose() -> None:
    found = {folder: compose_env.values_of(folder, VALUES) for folder in FOLDERS}
    assert "@127.0.0.1:1/orders" in found["services/orders"]["DATABASE_URL"]
    assert "@127.0.0.1:2/" in found["workers/orders"]["RABBITMQ_URL"]
    assert "@127.0.0.1:3/archive" in found["services/archive"]["MONGODB_URL"]
    assert found["services/operations"]["RABBITMQ_MANAGEMENT_URL"].endswith("@127.0.0.1:4")
    assert found["workers/relay"]["OUTBOX_DATABASE_URLS"].count("@127.0.0.1:1/") == 4
    assert found["services/orders"]["SERVICE_PORT"] == "8003"
